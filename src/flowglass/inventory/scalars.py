"""The words of an inventory file that are more than text: ids, accounts, addresses, times, yes and no.

Rule: each type turns text as written into its value, or raises a fault of two parts: what is wrong, what to
do. Addresses are whole numbers in the 128-bit space where IPv4 is mapped into IPv6 (RFC 4291 section
2.5.5.2).
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import re
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeAlias

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from flowglass.inventory.faults import shown

MAPPED: Final = 0xFFFF << 32
"""`::ffff:0:0`, where the IPv4 addresses begin."""
FOREVER_NS: Final = 2**63 - 1
"""`until_ns` of what has no end."""
_NS: Final = 1_000_000_000
_TAG_KEY_MAX, _TAG_VALUE_MAX = 128, 256  # https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html
_WORDS: Final = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
GATEWAYS: Final = ("igw", "eigw", "nat", "pcx", "vgw", "vpce", "tgw", "lgw", "cagw")
"""Kinds of route targets that are no interface and no instance."""


@dataclass(frozen=True, slots=True, order=True)
class Cidr:
    """A prefix: `start` in the 128-bit space and `length` 0 to 128 there (IPv4: written length + 96)."""

    start: int
    length: int

    @property
    def last(self) -> int:
        """The last address."""
        return self.start | ((1 << (128 - self.length)) - 1)

    @property
    def ipv4(self) -> bool:
        """Whether it was written as IPv4."""
        return self.length >= 96 and self.start >> 32 == MAPPED >> 32

    def holds(self, other: Cidr) -> bool:
        """Whether `other` lies within."""
        return self.ipv4 == other.ipv4 and self.start <= other.start and other.last <= self.last

    def __str__(self) -> str:
        if self.ipv4:
            return str(ipaddress.IPv4Network((self.start - MAPPED, self.length - 96)))
        return str(ipaddress.IPv6Network((self.start, self.length)))


def address_text(address: int) -> str:
    """An address of the 128-bit space as people write it."""
    is_ipv4 = address >> 32 == MAPPED >> 32
    return str(ipaddress.IPv4Address(address - MAPPED) if is_ipv4 else ipaddress.IPv6Address(address))


def fault(what: str, remedy: str) -> PydanticCustomError:
    """An error that `model` turns into a Fault."""
    return PydanticCustomError("fault", "{what}", {"what": what, "remedy": remedy})


def as_text(value: Any) -> str:
    """Any scalar, as written."""
    if not isinstance(value, str):
        raise fault("no text", "write one word, in quotes where it is empty")
    return str(value)


def _filled(value: Any) -> str:
    text = as_text(value)
    if not text:
        raise fault("empty", "write its value, or delete the key")
    return text


def _id(prefix: str) -> BeforeValidator:
    pattern = re.compile(rf"{prefix}-[0-9a-f]{{8,17}}")

    def check(value: Any) -> str:
        text = as_text(value)
        if not pattern.fullmatch(text):
            raise fault(f"{shown(text)} is no {prefix}- id", f"write {prefix}- and 8 or 17 digits 0-9 a-f")
        return text

    return BeforeValidator(check)


def _account(value: Any) -> str:
    text = as_text(value)
    if getattr(value, "tag", "str") == "int" and text.startswith("0"):
        raise fault(f"account {text} is an octal number in YAML", f'quote it: "{text}"')
    if not re.fullmatch("[0-9]{12}", text):
        raise fault(f"account {shown(text)} is not 12 digits", 'write all 12, as "123456789012"')
    return text


def _region(value: Any) -> str:
    text = as_text(value)
    if not re.fullmatch("[a-z0-9][a-z0-9-]*", text):
        raise fault(f"region {shown(text)} is no name of a region", "write it as eu-west-1")
    return text


def _target(value: Any) -> str:
    text = as_text(value)
    if text == "local" or re.fullmatch("(eni|i)-[0-9a-f]{8,17}", text):
        return text
    if not re.fullmatch(rf"({'|'.join(GATEWAYS)})-[0-9a-f]{{1,17}}", text):
        kinds = ", ".join(f"{kind}-" for kind in ("eni", "i", *GATEWAYS))
        raise fault(f"{shown(text)} is no target of a route", f"write local or an id that begins with {kinds}")
    return text


def _resource(value: Any) -> str:
    text = as_text(value)
    if not re.fullmatch("(nat|tgw|vpce)-[0-9a-f]{1,17}", text):
        raise fault(f"{shown(text)} is no id of a gateway or endpoint", "write nat-, tgw- or vpce- and its digits")
    return text


def parse_cidr(text: str) -> Cidr:
    """The prefix that `text` names; raises a fault where it is none or has host bits."""
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise fault(f"{shown(text)} is no CIDR", "write it as 10.0.0.0/16 or 2001:db8::/32") from None
    if "/" not in text:
        raise fault(f"{shown(text)} has no prefix length", f"write {network} or a shorter length") from None
    if ipaddress.ip_interface(text).ip != network.network_address:
        raise fault(f"{shown(text)} has host bits", f"write {network}")
    if isinstance(network, ipaddress.IPv4Network):
        return Cidr(MAPPED + int(network.network_address), network.prefixlen + 96)
    if network.prefixlen >= 96 and network.network_address.ipv4_mapped is not None:
        raise fault(f"{shown(text)} is IPv4 mapped into IPv6", "write it as IPv4")
    return Cidr(int(network.network_address), network.prefixlen)


def _cidr(value: Any) -> Cidr:
    return parse_cidr(as_text(value))


def _cidr4(value: Any) -> Cidr:
    cidr = _cidr(value)
    if not cidr.ipv4:
        raise fault(f"{cidr} is IPv6", "write the IPv4 CIDR here and this one as ipv6_cidr")
    return cidr


def _cidr6(value: Any) -> Cidr:
    cidr = _cidr(value)
    if cidr.ipv4:
        raise fault(f"{cidr} is IPv4", "write an IPv6 CIDR")
    return cidr


def _ipv4(value: Any) -> int:
    text = as_text(value)
    try:
        return MAPPED + int(ipaddress.IPv4Address(text))
    except ValueError:
        raise fault(f"{shown(text)} is no IPv4 address", "write it as 10.0.0.10") from None


def _ipv6(value: Any) -> int:
    text = as_text(value)
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        raise fault(f"{shown(text)} is no IPv6 address", "write it as 2001:db8::10") from None
    if address.ipv4_mapped is not None or address.scope_id is not None:
        raise fault(f"{shown(text)} is no address of an interface", "write IPv4 under ipv4, and no %zone")
    return int(address)


def _mac(value: Any) -> int:
    text = as_text(value)
    if not re.fullmatch("([0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}", text):
        raise fault(f"{shown(text)} is no MAC address", 'write it as "02:00:00:00:00:01"')
    number = int(text.replace(":", "").replace("-", ""), 16)
    if number == 0 or number >> 40 & 1:  # the group bit (IEEE 802)
        raise fault(f"{shown(text)} is no MAC address of one interface", "write its own")
    return number


def _time(value: Any) -> int:
    text = as_text(value)
    if re.fullmatch("[0-9]{1,10}", text):
        return _in_range(int(text) * _NS, text)
    remedy = "write it as 2026-01-31T12:00:00Z, or Unix seconds"
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise fault(f"{shown(text)} is no time", remedy) from None
    if moment.tzinfo is None:
        raise fault(f"{shown(text)} has no time zone", remedy)
    since = moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return _in_range((since.days * 86_400 + since.seconds) * _NS + since.microseconds * 1000, text)


def _in_range(time_ns: int, text: str) -> int:
    if not 0 <= time_ns < FOREVER_NS:
        raise fault(f"{shown(text)} is before 1970 or after 2262", "leave it out where there is no bound")
    return time_ns


def _bool(value: Any) -> bool:
    word = as_text(value).lower()
    if word not in _WORDS:
        raise fault(f"{shown(as_text(value))} is neither true nor false", "write true or false")
    return _WORDS[word]


def _tag_key(value: Any) -> str:
    text = as_text(value)
    if not 1 <= len(text) <= _TAG_KEY_MAX:
        raise fault(f"tag key of {len(text)} characters", f"AWS takes 1 to {_TAG_KEY_MAX}")
    return text


def _tag_value(value: Any) -> str:
    text = as_text(value)
    if len(text) > _TAG_VALUE_MAX:
        raise fault(f"tag value of {len(text)} characters", f"AWS takes at most {_TAG_VALUE_MAX}")
    return text


Word: TypeAlias = Annotated[str, BeforeValidator(_filled)]
VpcId: TypeAlias = Annotated[str, _id("vpc")]
SubnetId: TypeAlias = Annotated[str, _id("subnet")]
RouteTableId: TypeAlias = Annotated[str, _id("rtb")]
InstanceId: TypeAlias = Annotated[str, _id("i")]
InterfaceId: TypeAlias = Annotated[str, _id("eni")]
NatId: TypeAlias = Annotated[str, _id("nat")]
GroupId: TypeAlias = Annotated[str, _id("sg")]
Account: TypeAlias = Annotated[str, BeforeValidator(_account)]
Region: TypeAlias = Annotated[str, BeforeValidator(_region)]
Target: TypeAlias = Annotated[str, BeforeValidator(_target)]
ResourceId: TypeAlias = Annotated[str, BeforeValidator(_resource)]
AnyCidr: TypeAlias = Annotated[Cidr, BeforeValidator(_cidr)]
Cidr4: TypeAlias = Annotated[Cidr, BeforeValidator(_cidr4)]
Cidr6: TypeAlias = Annotated[Cidr, BeforeValidator(_cidr6)]
Ipv4: TypeAlias = Annotated[int, BeforeValidator(_ipv4)]
Ipv6: TypeAlias = Annotated[int, BeforeValidator(_ipv6)]
Mac: TypeAlias = Annotated[int, BeforeValidator(_mac)]
TimeNs: TypeAlias = Annotated[int, BeforeValidator(_time)]
Flag: TypeAlias = Annotated[bool, BeforeValidator(_bool)]
Tags: TypeAlias = dict[Annotated[str, BeforeValidator(_tag_key)], Annotated[str, BeforeValidator(_tag_value)]]
