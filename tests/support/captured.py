"""A pcapng made of blocks, read by the product, as plain values.

Rule: nothing is checked here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flowglass.capture import CaptureFile, CaptureFiles


class Read:
    """What a pcapng of these blocks gives."""

    def __init__(self, folder: Path, *blocks: bytes, name: str | None = None) -> None:
        path = folder / "capture.pcapng"
        path.write_bytes(b"".join(blocks))
        self.source = CaptureFiles([CaptureFile(str(path), name)])
        self.data: list[bytes] = []
        self.frames: list[dict[str, Any]] = []
        for block in self.source:
            for frame in block.frames:
                begin = int(frame["offset"])
                self.data.append(block.data[begin : begin + int(frame["caplen"])].tobytes())
                self.frames.append({key: int(frame[key]) for key in frame.dtype.names})

    def __getitem__(self, key: str) -> list[int]:
        return [frame[key] for frame in self.frames]

    @property
    def points(self) -> list[tuple[str, int]]:
        return [(point.name, point.link_type) for point in self.source.points]

    @property
    def faults(self) -> list[str]:
        return [str(fault).split(": ", 1)[1] for fault in self.source.faults]
