"""Where things are in the arrays that the kernels share: scratch rows, table rows, windows, points, state.

Rule: words of a row are those of `FLOW` (`fields/contracts.py`) on a little-endian machine; no other file counts them.

`rows`: (capacity, ROW_WORDS) uint64; the first FLOW_WORDS are a FLOW, the last is the key's window and hash: slot of
the open window << 32 | low half of the hash. Rows are taken in chunks of CHUNK_ROWS; each belongs to one open window,
so a window is drained in order of first packet. `index`: (power of two,) uint32, 0 empty, TOMB where a row was drained,
else row + 1 in the low ROW_BITS and a tag of the hash in the bits above, as many as the number of rows leaves: a probe
passes other flows without touching their rows.
"""

from __future__ import annotations

# Columns of a scratch row. The first five are the words of FLOW that make up the tuple.
SRC_HI, SRC_LO, DST_HI, DST_LO, TUPLE, SRC_MAC_VLAN, DST_MAC, MARKS, BYTES, PACKETS, TS, SLOT, LINK, HASH = range(14)
SCRATCH_WORDS = 14

# Shifts inside FLOW's words.
DPORT_SHIFT, PROTOCOL_SHIFT, FAMILY_SHIFT, DIRECTION_SHIFT, VERDICT_SHIFT = 16, 32, 40, 48, 56
ICMP_SHIFT, FLAGS_SHIFT, RAW_FLAGS_SHIFT = 32, 48, 56

FLOW_WORDS = 12
ROW_WORDS = 13
CHUNK_ROWS = 1024
GROUP = 32
WINDOWS_PER_POINT = 16
TOMB = 0xFFFFFFFF

# Words of a row behind the tuple.
W_LINK, W_MARKS, W_PACKETS, W_BYTES, W_FRAMES, W_FIRST, W_LAST, W_KEY = 5, 6, 7, 8, 9, 10, 11, 12

# What stopped a run of the kernel.
DONE, ADVANCE, OPEN, FULL, GROW = range(5)

# Columns of `slots`, one row an open window.
S_LOW_NS, S_HIGH_NS, S_NEXT_ROW, S_END_ROW, S_ROWS, S_MIXED, S_FIRST_CHUNK, S_LAST_CHUNK = range(8)
SLOT_WORDS = 8

# Columns of `points`, one row a capture point.
P_LINK_TYPE, P_EDGE_NS, P_LAST_NS, P_SLOT, P_SEEN, P_IN_FLOWS, P_NO_TIME = range(7)
POINT_WORDS = 7

# Cells of `state`.
N_FLOWS, N_USED, N_FREE_CHUNKS, N_LINKS, N_LINK_OVERFLOW, LAST_LINK, MAX_FLOWS, ROW_BITS = range(8)
STATE_WORDS = 8

LATEST_NS = 2**63 - 2
"""Times are compared with ends of windows as if this were the last one: then the last window too has an end."""

LINK_ROWS = 1 << 16
LINK_INDEX = 1 << 18
OVERFLOW_LINK = 1
