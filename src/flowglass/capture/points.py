"""The capture points of a run, numbered as they appear.

Rule: one point a (name, link type). Rotated files of one capture so meet in the same points.
"""

from __future__ import annotations

from typing import Final

from flowglass.fields.contracts import Point

MAX_POINTS: Final = 65_535
SUPPORTED: Final[dict[int, str]] = {
    0: "NULL",
    1: "ETHERNET",
    9: "PPP",
    12: "RAW",
    14: "RAW",
    50: "PPP_HDLC",
    51: "PPP_ETHER",
    101: "RAW",
    104: "C_HDLC",
    108: "LOOP",
    113: "LINUX_SLL",
    228: "IPV4",
    229: "IPV6",
    239: "NFLOG",
    276: "LINUX_SLL2",
}
"""Link types that the decoder reads: LINKTYPE_ number to name (https://www.tcpdump.org/linktypes.html)."""

OTHERS: Final[dict[int, str]] = {
    6: "IEEE802_5",
    10: "FDDI",
    105: "IEEE802_11",
    119: "IEEE802_11_PRISM",
    127: "IEEE802_11_RADIOTAP",
    147: "USER0",
    189: "USB_LINUX",
    192: "PPI",
    195: "IEEE802_15_4_WITHFCS",
    201: "BLUETOOTH_HCI_H4_WITH_PHDR",
    220: "USB_LINUX_MMAPPED",
    227: "CAN_SOCKETCAN",
    231: "DBUS",
    240: "NETANALYZER",
    242: "IPOIB",
    247: "INFINIBAND",
    249: "USBPCAP",
    252: "WIRESHARK_UPPER_PDU",
    253: "NETLINK",
}
"""Names of link types that are not read, for messages."""


def link_type_name(link_type: int) -> str:
    """A link type as people know it: name and number."""
    name = SUPPORTED.get(link_type) or OTHERS.get(link_type)
    return f"{name} ({link_type})" if name else f"{link_type}"


class Points:
    """The growing table of capture points; rows are never taken away."""

    def __init__(self) -> None:
        self.rows: list[Point] = []
        self._by_key: dict[tuple[str, int], int] = {}

    def row(self, name: str, link_type: int, mac: int = 0) -> int:
        """The row of a point, made when it is new. Beyond MAX_POINTS all further ones share the last."""
        found = self._by_key.get((name, link_type))
        if found is None:
            found = min(len(self.rows), MAX_POINTS)
            if found == len(self.rows):
                self.rows.append(Point(name, link_type, mac))
            self._by_key[name, link_type] = found
        return found
