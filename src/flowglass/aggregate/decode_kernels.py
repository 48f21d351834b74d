"""The kernel that decodes one frame: link layer, then IP; what they find goes into one scratch row.

Rule: a frame is decoded, or its NotRecorded cause is returned, never an exception.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from flowglass.aggregate.ip_kernels import ipv4, ipv6, segments
from flowglass.aggregate.layout import (
    DIRECTION_SHIFT,
    DST_MAC,
    PACKETS,
    SRC_MAC_VLAN,
    TUPLE,
    VERDICT_SHIFT,
)
from flowglass.aggregate.link_kernels import (
    ETHERTYPE_IPV4,
    ETHERTYPE_IPV6,
    LINKTYPE_C_HDLC,
    LINKTYPE_ETHERNET,
    LINKTYPE_IPV4,
    LINKTYPE_IPV6,
    LINKTYPE_LOOP,
    LINKTYPE_NFLOG,
    LINKTYPE_NULL,
    LINKTYPE_PPP,
    LINKTYPE_PPP_ETHER,
    LINKTYPE_PPP_HDLC,
    LINKTYPE_RAW,
    LINKTYPE_RAW_BSD,
    LINKTYPE_RAW_OPENBSD,
    LINKTYPE_SLL,
    LINKTYPE_SLL2,
    by_nibble,
    cooked,
    ethernet,
    nflog,
    null_family,
    serial,
    through_tags,
)
from flowglass.fields.contracts import NotRecorded
from flowglass.jit import inlined

_LINK_TYPE = int(NotRecorded.LINK_TYPE)
_LINK_HEADER = int(NotRecorded.LINK_HEADER)
_U0 = np.uint64(0)


@inlined
def decode(data: Any, frame: Any, link_type: int, rules: Any, row: Any, base: int) -> int:
    """Decode one frame into SCRATCH_WORDS of `row`, uint64, from `base` on; returns -1, or the NotRecorded cause.

    `frame`: one FRAME; `rules`: (m, 2 + longest) uint8, verdicts by NFLOG prefix.
    """
    start = frame["offset"]
    at = start
    end = start + np.int64(frame["caplen"])
    wire_end = start + max(np.int64(frame["wirelen"]), np.int64(frame["caplen"]))
    direction = np.int64(frame["direction"])
    verdict = np.int64(frame["verdict"])
    vlan = np.int64(frame["vlan"])
    row[base + SRC_MAC_VLAN] = np.uint64(vlan)
    row[base + DST_MAC] = _U0
    if link_type == LINKTYPE_ETHERNET:
        ethertype, at = ethernet(data, at, end, vlan, row, base)
    elif link_type in (LINKTYPE_SLL, LINKTYPE_SLL2):
        ethertype, at, seen = cooked(data, at, end, link_type, vlan, row, base)
        if direction == 0:
            direction = seen
    elif link_type in (LINKTYPE_RAW, LINKTYPE_RAW_BSD, LINKTYPE_RAW_OPENBSD):
        ethertype = by_nibble(data, at, end)
    elif link_type == LINKTYPE_IPV4:
        ethertype = ETHERTYPE_IPV4
    elif link_type == LINKTYPE_IPV6:
        ethertype = ETHERTYPE_IPV6
    elif link_type in (LINKTYPE_NULL, LINKTYPE_LOOP):
        if at + 4 > end:
            return _LINK_HEADER
        ethertype = null_family(data, at)
        at += 4
    elif link_type == LINKTYPE_NFLOG:
        ethertype, at, end, seen, judged, mac = nflog(data, at, end, rules)
        row[base + SRC_MAC_VLAN] |= mac
        if direction == 0:
            direction = seen
        if verdict == 0:
            verdict = judged
    elif link_type in (LINKTYPE_PPP, LINKTYPE_PPP_HDLC, LINKTYPE_PPP_ETHER, LINKTYPE_C_HDLC):
        ethertype, at = serial(data, at, end, link_type)
        if ethertype >= 0:
            ethertype, at, vlan = through_tags(data, at, end, ethertype, vlan)
    else:
        return _LINK_TYPE
    row[base + PACKETS] = np.uint64(1)
    if ethertype == ETHERTYPE_IPV4:
        cause, headers = ipv4(data, at, end, wire_end - at, row, base)
    elif ethertype == ETHERTYPE_IPV6:
        cause, headers = ipv6(data, at, end, wire_end - at, row, base)
    else:
        return -1 - ethertype
    if cause < 0:
        row[base + TUPLE] |= (np.uint64(direction) << np.uint64(DIRECTION_SHIFT)) | (
            np.uint64(verdict) << np.uint64(VERDICT_SHIFT)
        )
        if frame["gso_size"] > 0:
            segments(row, base, headers, np.int64(frame["gso_size"]))
    return cause
