"""The flow table: memory for flows of open windows, and their draining.

Rule: it grows without copying a row; a window leaves it whole and in order of first packet. It knows no clock.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from flowglass.aggregate import layout
from flowglass.aggregate.drain_kernels import forget_rows, rebuild_index, take_rows
from flowglass.aggregate.table_kernels import add_frames
from flowglass.fields.contracts import FLOW, I64, LINK, U64, FrameBlock, NotRecorded, Structured

DEFAULT_MAX_FLOWS = 10_000_000
SLICE_ROWS = 64 * layout.CHUNK_ROWS
_SPARE_CHUNKS = 64
_FIRST_INDEX = 1 << 14


@dataclass
class FlowTable:
    """Rows for up to `max_flows` flows of open windows.

    Memory is reserved at once and taken from the system as rows are used. `nflog_rules`: (m, 2 + longest) uint8, a
    verdict, the length of a prefix and its bytes a row.
    """

    max_flows: int = DEFAULT_MAX_FLOWS
    nflog_rules: Any = field(default_factory=lambda: np.zeros((0, 2), np.uint8))

    def __post_init__(self) -> None:
        chunks = -(-self.max_flows // layout.CHUNK_ROWS) + _SPARE_CHUNKS
        self._rows: U64 = np.empty((chunks * layout.CHUNK_ROWS, layout.ROW_WORDS), np.uint64)
        self._index = np.zeros(_FIRST_INDEX, np.uint32)
        self._chunks: I64 = np.arange(chunks - 1, -1, -1, dtype=np.int64)
        self._next_chunk: I64 = np.full(chunks, -1, np.int64)
        self._slots: I64 = np.zeros((64, layout.SLOT_WORDS), np.int64)
        self._free_slots = list(range(63, -1, -1))
        self._open: dict[int, None] = {}  # slots in the order they were opened
        self._point_count = 0
        self._points: I64 = np.zeros((4, layout.POINT_WORDS), np.int64)
        self._causes: I64 = np.zeros((4, len(NotRecorded)), np.int64)
        self._open_slots: I64 = np.full((4, layout.WINDOWS_PER_POINT), -1, np.int64)
        self._links: U64 = np.zeros((layout.LINK_ROWS, 2), np.uint64)
        self._link_index = np.zeros(layout.LINK_INDEX, np.uint32)
        self._state: I64 = np.zeros(layout.STATE_WORDS, np.int64)
        self._state[layout.N_FREE_CHUNKS] = chunks
        self._state[layout.N_LINKS] = layout.OVERFLOW_LINK + 1
        self._state[layout.MAX_FLOWS] = self.max_flows
        self._state[layout.ROW_BITS] = (len(self._rows) + 1).bit_length()
        self._group: U64 = np.zeros(layout.GROUP * layout.SCRATCH_WORDS, np.uint64)
        self._group_cause: I64 = np.zeros(layout.GROUP, np.int64)

    @property
    def flows(self) -> int:
        """Flows held now."""
        return int(self._state[layout.N_FLOWS])

    @property
    def link_overflow(self) -> int:
        """Frames whose link endpoints found no place and share one row."""
        return int(self._state[layout.N_LINK_OVERFLOW])

    @property
    def memory_bytes(self) -> int:
        """Memory in use for the flows held: rows of the chunks taken, and the index."""
        taken = len(self._chunks) - int(self._state[layout.N_FREE_CHUNKS])
        return taken * layout.CHUNK_ROWS * layout.ROW_WORDS * 8 + self._index.nbytes

    def seen(self, point: int) -> int:
        """Frames taken from a point."""
        return int(self._points[point, layout.P_SEEN])

    def in_flows(self, point: int) -> int:
        """Frames of a point that are in flows."""
        return int(self._points[point, layout.P_IN_FLOWS])

    def without_time(self, point: int) -> int:
        """Frames of a point that had no time and took the one before."""
        return int(self._points[point, layout.P_NO_TIME])

    def not_recorded(self, point: int) -> dict[NotRecorded, int]:
        """Frames of a point that are in no flow, by cause; causes without a frame are left out."""
        return {cause: int(self._causes[point, cause]) for cause in NotRecorded if self._causes[point, cause]}

    def add_point(self, link_type: int) -> None:
        """Make room for one more capture point; points are numbered in the order they come."""
        if self._point_count == len(self._points):
            self._points = np.concatenate([self._points, np.zeros_like(self._points)])
            self._causes = np.concatenate([self._causes, np.zeros_like(self._causes)])
            self._open_slots = np.concatenate([self._open_slots, np.full_like(self._open_slots, -1)])
        self._points[self._point_count] = (link_type, 0, 0, -1, 0, 0, 0)
        self._point_count += 1

    def set_edge(self, point: int, edge_ns: int) -> None:
        """Stop with ADVANCE at the first frame of the point at or after this time."""
        self._points[point, layout.P_EDGE_NS] = edge_ns

    def open(self, point: int, low_ns: int, high_ns: int) -> int:
        """Open a window of a point for times in [low, high); returns its slot. The point must have a place free."""
        if not self._free_slots:
            count = len(self._slots)
            self._slots = np.concatenate([self._slots, np.zeros_like(self._slots)])
            self._free_slots = list(range(2 * count - 1, count - 1, -1))
        slot = self._free_slots.pop()
        self._slots[slot] = (low_ns, high_ns, 0, 0, 0, 0, -1, -1)
        place = int(np.flatnonzero(self._open_slots[point] < 0)[0])
        self._open_slots[point, place] = slot
        self._open[slot] = None
        return slot

    def rows_in(self, slot: int) -> int:
        """Flows held of an open window."""
        return int(self._slots[slot, layout.S_ROWS])

    def drain(self, slot: int) -> Iterator[tuple[Structured, bool]]:
        """Hand over the window's flows and forget them: (flows, mixed links) in slices, or whole if links are mixed."""
        total = self.rows_in(slot)
        mixed = bool(self._slots[slot, layout.S_MIXED])
        step = max(total, 1) if mixed else SLICE_ROWS
        for start in range(0, total, step):
            out: U64 = np.empty((min(step, total - start), layout.FLOW_WORDS), np.uint64)
            take_rows(slot, start, out, self._rows, self._slots, self._next_chunk)
            yield out.view(FLOW)[:, 0], mixed
        if total:
            forget_rows(slot, self._rows, self._index, self._slots, self._chunks, self._next_chunk, self._state)

    def close(self, point: int, slot: int) -> None:
        """Close a drained window."""
        self._open_slots[point][self._open_slots[point] == slot] = -1
        if self._points[point, layout.P_SLOT] == slot:
            self._points[point, layout.P_SLOT] = -1
        del self._open[slot]
        self._free_slots.append(slot)

    def links(self) -> Structured:
        """The link endpoints, (m,) LINK; row 0 none, row 1 shared by those that found no place."""
        words = self._links[: self._state[layout.N_LINKS]]
        links = np.zeros(len(words), LINK)
        links["src_mac"] = words[:, 0] >> np.uint64(16)
        links["dst_mac"] = words[:, 1]
        links["vlan"] = (words[:, 0] & np.uint64(0xFFFF)).astype(np.uint16)
        return links

    def add(self, block: FrameBlock, begin: int) -> tuple[int, int]:
        """Add frames from `begin` on: (frames done in all, what stopped it: DONE, ADVANCE, OPEN or FULL)."""
        while True:
            done, stopped = add_frames(
                block.data,
                block.frames,
                begin,
                self.nflog_rules,
                self._rows,
                self._index,
                self._points,
                self._causes,
                self._slots,
                self._open_slots,
                self._chunks,
                self._next_chunk,
                self._links,
                self._link_index,
                self._state,
                self._group,
                self._group_cause,
            )
            if stopped != layout.GROW:
                return int(done), int(stopped)
            self._grow_index()
            begin = int(done)

    def _grow_index(self) -> None:
        """Build the index anew, twice as large unless it was drained rows that filled it."""
        size = len(self._index)
        if self.flows * 2 > size // 2:
            size *= 2
        self._index = np.zeros(size, np.uint32)
        rebuild_index(
            self._index,
            self._rows,
            self._slots,
            np.array(list(self._open), np.int64),
            self._next_chunk,
            self._state,
        )
