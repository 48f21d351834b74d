"""Conditions of policy statements: which one implies another, and whether one can hold for a delivery.

Rule: three answers, yes, no and unknown (None); a key or operator that is not known here gives unknown, never a guess.
Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from flowglass.deliver.globs import covers, meets

Condition = Mapping[str, Mapping[str, Any]]
"""Operator to key to value or values."""

_EXACT: Final = "exact"
_FOLDED: Final = "folded"
_LIKE: Final = "like"
_ARN: Final = "arn"
_POSITIVE: Final = {
    "stringequals": _EXACT,
    "stringequalsignorecase": _FOLDED,
    "stringlike": _LIKE,
    "arnequals": _ARN,
    "arnlike": _ARN,
    "bool": _FOLDED,
}
"""How an operator compares. ArnEquals compares as ArnLike does, AWS says."""

_NEGATIVE: Final = {
    "stringnotequals": _EXACT,
    "stringnotequalsignorecase": _FOLDED,
    "stringnotlike": _LIKE,
    "arnnotequals": _ARN,
    "arnnotlike": _ARN,
}
_IF_EXISTS: Final = "ifexists"
_ARN_PARTS: Final = 6


def implied(have: Condition, wanted: Condition) -> bool:
    """Whether `have` holds for every request that `wanted` holds for, as far as can be told."""
    given = {key: value for keys in wanted.values() for key, value in _lower(keys).items()}
    for operator, keys in have.items():
        how = _POSITIVE.get(operator.lower().removesuffix(_IF_EXISTS))
        for key, values in _lower(keys).items():
            if how is None or key not in given or not _any_compares(how, values, given[key][0]):
                return False
    return True


def context_of(wanted: Condition, service: str) -> dict[str, str]:
    """What is known of a delivery's request, by key in lower case; a value that ends in `*` is known up to there."""
    known = {key: values[0] for keys in wanted.values() for key, values in _lower(keys).items()}
    return {
        **known,
        "aws:securetransport": "true",
        "aws:principalisawsservice": "true",
        "aws:principalservicename": service,
    }


def may_hold(condition: Condition, context: Mapping[str, str]) -> bool:
    """Whether a condition can hold for a request with this context: all of it is true or unknown."""
    return all(
        _holds(operator.lower(), values, context.get(key)) is not False
        for operator, keys in condition.items()
        for key, values in _lower(keys).items()
    )


def _lower(keys: Mapping[str, Any]) -> dict[str, list[str]]:
    """Values as lists of texts by key; condition keys do not tell cases apart."""
    return {key.lower(): [_text(one) for one in _many(value)] for key, value in keys.items()}


def _many(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _holds(operator: str, values: list[str], known: str | None) -> bool | None:
    if known is None:
        return None
    if operator == "null":
        return "false" in [value.lower() for value in values]
    operator = operator.removesuffix(_IF_EXISTS)
    if operator in _POSITIVE:
        return _any_compares(_POSITIVE[operator], values, known)
    if operator in _NEGATIVE:
        same = _any_compares(_NEGATIVE[operator], values, known)
        return None if same is None else not same
    return None


def _any_compares(how: str, values: Iterable[str], known: str) -> bool | None:
    answers = {_compares(how, value, known) for value in values}
    return True if True in answers else None if None in answers else False


def _compares(how: str, value: str, known: str) -> bool | None:
    """Whether a condition's value fits a known one; unknown where the known one ends in `*` and that decides."""
    if "${" in value:
        return None
    if how == _ARN:
        return _arn_compares(value, known)
    if how == _FOLDED:
        value, known = value.lower(), known.lower()
    if how != _LIKE:
        if known.endswith("*"):
            return None if value.startswith(known[:-1]) else False
        return value == known
    if covers(value, known):
        return True
    return None if known.endswith("*") and meets(value, known[:-1]) else False


def _arn_compares(value: str, known: str) -> bool | None:
    """The parts of an ARN, between its first five colons, are compared one by one."""
    wanted, given = value.split(":", _ARN_PARTS - 1), known.split(":", _ARN_PARTS - 1)
    if len(wanted) != _ARN_PARTS or len(given) != _ARN_PARTS:
        return False
    answers = {_compares(_LIKE, one, other) for one, other in zip(wanted, given, strict=True)}
    return False if False in answers else None if None in answers else True
