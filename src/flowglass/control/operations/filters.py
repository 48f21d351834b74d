"""EC2's filters: a request's `Filters`, compiled once and asked about every item.

Rule: values of one filter are alternatives, filters must all match; upper and lower case differ; values may have
wildcards, names may not. A filter that the action does not have is refused, never overlooked.
Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from flowglass.control.faults import InvalidParameterValue
from flowglass.control.operations.refusal import refuse, shown
from flowglass.control.operations.wildcards import Wildcard, compile_wildcard

MAX_FILTERS: Final = 50
MAX_VALUES: Final = 200
MAX_VALUE_LENGTH: Final = 255

TAG_PREFIX: Final = "tag:"
"""Before a tag's key: the filter is about that tag's value."""
TAG_KEY: Final = "tag-key"
"""The filter about the keys of tags."""


@dataclass(frozen=True, slots=True)
class Clause:
    """One filter: its name, the values without wildcards, and those with."""

    name: str
    plain: frozenset[str]
    wildcards: tuple[Wildcard, ...]

    def match(self, values: Iterable[str]) -> bool:
        """Whether any of an item's values is one of this filter's."""
        return any(
            value in self.plain or any(wildcard.matches(value) for wildcard in self.wildcards) for value in values
        )


@dataclass(frozen=True, slots=True)
class Filters:
    """All filters of a request."""

    clauses: tuple[Clause, ...]

    def exact(self, name: str) -> list[str] | None:
        """The values that an item must have one of, for a query by index.

        None where the filter is not there, or has a wildcard; an empty list where two filters of one name exclude
        each other. `match` holds for every item that has one of them, as far as this filter goes.
        """
        found: frozenset[str] | None = None
        for clause in self.clauses:
            if clause.name == name and not clause.wildcards:
                found = clause.plain if found is None else found & clause.plain
        return None if found is None else sorted(found)

    def match(self, values: Mapping[str, Sequence[str]], tags: Mapping[str, str]) -> bool:
        """Whether an item passes. `values`: by filter's name, the item's; a name that is not there has none."""
        return all(clause.match(_values_of(clause.name, values, tags)) for clause in self.clauses)

    @property
    def names(self) -> set[str]:
        """The names of the filters that are there."""
        return {clause.name for clause in self.clauses}


def compile_filters(
    filters: Sequence[Mapping[str, Any]] | None, known: Collection[str], *, tags: bool = True
) -> Filters:
    """Check and compile a request's filters.

    `filters`: maps with `Name` and `Values`, as botocore has them; `known`: the action's filters, without those about
    tags; `tags`: whether it has `tag:<key>` and `tag-key`. Raises InvalidParameterValue that names every unknown
    filter, or for a filter without a value, or for more or longer ones than EC2 takes.
    """
    given = filters or ()
    if len(given) > MAX_FILTERS:
        raise InvalidParameterValue(f"There are {len(given)} filters; a request has at most {MAX_FILTERS}.")
    names = [str(entry.get("Name", "")) for entry in given]
    unknown = [name for name in names if not (name in known or (tags and _about_tags(name)))]
    refuse(InvalidParameterValue(f"The filter '{shown(name) or 'null'}' is invalid") for name in unknown)
    return Filters(tuple(_clause(name, entry.get("Values") or ()) for name, entry in zip(names, given, strict=True)))


def _about_tags(name: str) -> bool:
    return name == TAG_KEY or (name.startswith(TAG_PREFIX) and name != TAG_PREFIX)


def _clause(name: str, values: Sequence[str]) -> Clause:
    if not values:
        raise InvalidParameterValue(f"The filter '{shown(name)}' has no value.")
    if len(values) > MAX_VALUES:
        raise InvalidParameterValue(f"The filter '{shown(name)}' has {len(values)} values, more than {MAX_VALUES}.")
    if any(len(value) > MAX_VALUE_LENGTH for value in values):
        raise InvalidParameterValue(
            f"A value of the filter '{shown(name)}' is longer than {MAX_VALUE_LENGTH} characters."
        )
    compiled = [compile_wildcard(value) for value in values]
    return Clause(
        name,
        frozenset(value for value in compiled if isinstance(value, str)),
        tuple(value for value in compiled if isinstance(value, Wildcard)),
    )


def _values_of(name: str, values: Mapping[str, Sequence[str]], tags: Mapping[str, str]) -> Iterable[str]:
    if name == TAG_KEY:
        return tags
    if name.startswith(TAG_PREFIX):
        key = name.removeprefix(TAG_PREFIX)
        return (tags[key],) if key in tags else ()
    return values.get(name, ())
