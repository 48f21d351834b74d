"""An inventory file to checked parts: text, values with lines, shapes.

Rule: every fault is found in one reading. A part with a wrong value is read again without it, so that the
rest of the part is still checked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from flowglass.fields.errors import InventoryError
from flowglass.inventory.faults import Fault, nearest, shown
from flowglass.inventory.model import (
    LISTS,
    AutoScalingGroup,
    Head,
    Instance,
    Interface,
    Part,
    RegionalNatGateway,
    RouteTable,
    Subnet,
    Vpc,
)
from flowglass.inventory.yaml_positions import Items, Keys, Value, line_of, read_yaml

_MAX_BYTES: Final = 256 << 20
_P = TypeVar("_P", bound=Part)
Path_ = tuple[str | int, ...]

_KINDS: Final = {
    "string_type": ("text", "write one word"),
    "list_type": ("a list", "write it in [ ] or as lines that begin with -"),
    "dict_type": ("keys and values", "write it in { } or as lines of key: value"),
    "model_type": ("keys and values", "write it in { } or as lines of key: value"),
    "model_attributes_type": ("keys and values", "write it in { } or as lines of key: value"),
}


@dataclass(frozen=True)
class Inventory:
    """The parts of a file. Items keep their place in the file's list, by which `line` finds them."""

    head: Head
    root: Keys
    items: dict[str, dict[int, Part]] = field(default_factory=dict)
    broken_ids: dict[str, set[str]] = field(default_factory=dict)
    """Ids of items that could not be read: references to them are no faults of their own."""

    def _of(self, name: str, kind: type[_P]) -> dict[int, _P]:
        return {place: item for place, item in self.items.get(name, {}).items() if isinstance(item, kind)}

    @property
    def vpcs(self) -> dict[int, Vpc]:
        """VPCs by place."""
        return self._of("vpcs", Vpc)

    @property
    def subnets(self) -> dict[int, Subnet]:
        """Subnets by place."""
        return self._of("subnets", Subnet)

    @property
    def route_tables(self) -> dict[int, RouteTable]:
        """Route tables by place."""
        return self._of("route_tables", RouteTable)

    @property
    def instances(self) -> dict[int, Instance]:
        """Instances by place."""
        return self._of("instances", Instance)

    @property
    def auto_scaling_groups(self) -> dict[int, AutoScalingGroup]:
        """Auto Scaling groups by place."""
        return self._of("auto_scaling_groups", AutoScalingGroup)

    @property
    def interfaces(self) -> dict[int, Interface]:
        """Interfaces by place."""
        return self._of("interfaces", Interface)

    @property
    def regional_nat_gateways(self) -> dict[int, RegionalNatGateway]:
        """Regional NAT gateways by place."""
        return self._of("regional_nat_gateways", RegionalNatGateway)

    def line(self, *path: str | int) -> int:
        """The line of what stands at `path`."""
        return line_of(self.root, *path)


def read_text(path: Path) -> str:
    """The file's text. Raises InventoryError where it is not there, too large or not UTF-8."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise InventoryError(f"{path}: larger than {_MAX_BYTES >> 20} MiB; split the inventory")
        content = path.read_bytes()
    except OSError as error:
        raise InventoryError(f"{path}: {error.strerror}; check the path and its permissions") from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InventoryError(f"{path}:{line}: not UTF-8; save the file as UTF-8") from None


def read_inventory(text: str) -> tuple[Inventory, list[Fault]]:
    """The parts in `text` that have their shape, and the faults of shape."""
    root, faults = read_yaml(text)
    if not isinstance(root, Keys):
        if not faults:
            faults.append(Fault(1, "no inventory in it", "begin with account:, region: and vpcs:"))
        return Inventory(Head(), Keys(1)), faults
    head = {key: value for key, value in root.items() if key in Head.model_fields}
    for key in root:
        if key not in LISTS and key not in Head.model_fields:
            known = (*Head.model_fields, *LISTS)
            faults.append(Fault(root.lines[key], f"unknown key {shown(key)}", nearest(key, known, "remove it")))
    read_head = _part(head, Head, (), root, faults)
    inventory = Inventory(read_head if isinstance(read_head, Head) else Head(), root)
    for name, kind in LISTS.items():
        _list(name, kind, inventory, faults)
    return inventory, faults


def _list(name: str, kind: type[Part], inventory: Inventory, faults: list[Fault]) -> None:
    """Read the items of one list of the file into `inventory`."""
    inventory.items[name] = {}
    inventory.broken_ids[name] = set()
    listed: Value = inventory.root.get(name)
    if listed is None:
        return
    if not isinstance(listed, Items):
        faults.append(Fault(inventory.root.lines[name], f"{name} is no list", "begin each item with -"))
        return
    for place, item in enumerate(listed):
        part = _part(item, kind, (name, place), inventory.root, faults)
        if part is not None:
            inventory.items[name][place] = part
        elif isinstance(item, Keys):
            inventory.broken_ids[name].add(str(item.get("name" if kind is AutoScalingGroup else "id")))


def _part(value: Any, kind: type[Part], at: Path_, root: Keys, faults: list[Fault]) -> Part | None:
    """The value as `kind`; its faults are added. None where not even what is right makes one."""
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        errors = error.errors(include_url=False)
    faults.extend(_fault(detail, kind, at, root) for detail in errors)
    try:
        return kind.model_validate(_without(value, [detail["loc"] for detail in errors]))
    except ValidationError:
        return None


def _without(value: Any, wrong: Iterable[Path_]) -> Any:
    """A copy of `value` that lacks the keys and items at the wrong places."""
    if not isinstance(value, Keys | Items):
        return value
    heads = {path[0] for path in wrong if len(path) == 1}
    below: dict[str | int, list[Path_]] = {}
    for path in wrong:
        if len(path) > 1:
            below.setdefault(path[0], []).append(path[1:])
    # `[key]` is how pydantic names the key of a mapping: the pair at fault goes.
    heads |= {step for step, paths in below.items() if ("[key]",) in paths}
    places: Iterator[tuple[Any, Any]] = iter(value.items() if isinstance(value, Keys) else enumerate(value))
    kept = {step: _without(item, below.get(step, ())) for step, item in places if step not in heads}
    return kept if isinstance(value, Keys) else list(kept.values())


def _fault(detail: ErrorDetails, kind: type[Part], at: Path_, root: Keys) -> Fault:
    """An error of pydantic in our words."""
    steps = tuple(step for step in detail["loc"] if step != "[key]")
    line = line_of(root, *at, *steps)
    name = ".".join(str(step) for step in steps if isinstance(step, str))
    what = f"{name}: " if name else f"{at[0]} item {int(at[1]) + 1}: " if at else ""
    context = detail.get("ctx", {})
    error = detail["type"]
    if error == "fault":
        return Fault(line, f"{what}{context['what']}", str(context["remedy"]))
    if error == "missing":
        place = line_of(root, *at, *steps[:-1])
        return Fault(place, f"{name} is missing", f"add {steps[-1]}:")
    if error == "extra_forbidden":
        known = _known_keys(kind, steps[:-1])
        return Fault(line, f"unknown key {shown(str(steps[-1]))}", nearest(str(steps[-1]), known, "remove it"))
    if detail["input"] is None:
        return Fault(line, f"{what}no value", "write one, or delete the key")
    if error in ("literal_error", "enum"):
        expected = str(context["expected"])
        return Fault(line, f"{what}{shown(str(detail['input']))} is not known", f"write {expected}")
    if error == "too_short":
        return Fault(line, f"{what}an empty list", "name at least one")
    wanted, remedy = _KINDS.get(error, ("of the right kind", detail["msg"]))
    return Fault(line, f"{what}not {wanted}", remedy)


def _known_keys(kind: type[Part], steps: Path_) -> list[str]:
    """The keys that the part at `steps` below `kind` may have."""
    schema = kind.model_json_schema(mode="validation")
    found: Any = schema
    for step in steps:
        found = _resolved(found, schema)
        found = found.get("items", {}) if isinstance(step, int) else found.get("properties", {}).get(step, {})
    return list(_resolved(found, schema).get("properties", {}))


def _resolved(found: Any, schema: Any) -> Any:
    """A JSON schema node without `$ref` and `anyOf`."""
    for choice in found.get("anyOf", ()):
        if "$ref" in choice:
            found = choice
    if "$ref" in found:
        found = schema["$defs"][found["$ref"].rsplit("/", 1)[1]]
    return found
