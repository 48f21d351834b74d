"""The window over a byte stream that capture kernels walk: a buffer that is refilled behind what they did not finish.

Rule: it holds at most one record more than it reads at a time, so memory does not grow with the capture.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from flowglass.capture.bytestream import ByteStream
from flowglass.fields.contracts import FRAME, U8, Structured

READ_BYTES: Final = 1 << 19
"""Bytes read at a time: they and their frames stay in a core's second-level cache."""
BLOCK_FRAMES: Final = 1 << 14


class Buffer:
    """Bytes `data[at:stop]` are read and not yet walked; `data[at]` stands at `offset` in the capture."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self.data: U8 = np.empty(2 * READ_BYTES, np.uint8)
        self.frames: Structured = np.zeros(BLOCK_FRAMES, FRAME)
        self.at = 0
        self.stop = 0
        self.offset = 0
        self.at_end = False

    @property
    def left(self) -> int:
        """Bytes read and not yet walked."""
        return self.stop - self.at

    def advance(self, to: int) -> None:
        """Everything before place `to` was walked."""
        self.offset += to - self.at
        self.at = to

    def refill(self) -> bool:
        """Read more behind what is left; False at the end of the stream."""
        if self.at_end:
            return False
        left = self.left
        if left + READ_BYTES > len(self.data):
            larger: U8 = np.empty(2 * len(self.data), np.uint8)
            larger[:left] = self.data[self.at : self.stop]
            self.data = larger
        else:
            self.data[:left] = self.data[self.at : self.stop].copy()
        self.at, self.stop = 0, left
        count = self._stream.readinto(self.data.data[left : left + READ_BYTES])
        self.stop += count
        self.at_end = count == 0
        return count > 0

    def want(self, count: int) -> bool:
        """Have `count` bytes ready; False when the stream ends before."""
        while self.left < count:
            if not self.refill():
                return False
        return True

    def take(self, count: int) -> bytes:
        """The next `count` bytes, which `want` made ready."""
        piece = self.data[self.at : self.at + count].tobytes()
        self.advance(self.at + count)
        return piece

    def skip(self, count: int) -> bool:
        """Step over `count` bytes without holding them; False when the stream ends before."""
        while count > self.left:
            count -= self.left
            self.advance(self.stop)
            if not self.refill():
                return False
        self.advance(self.at + count)
        return True
