"""The disk that loses what was not synced, mounted: a FUSE file system, served by a process of its own.

Rule: the end of a mount is a power cut. What survived it lies in a folder, which the next mount begins with.
"""

from __future__ import annotations

import errno
import importlib
import os
import random
import stat
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from tests.crash.disk import PAGE, File, Folder, Node, Tree, fault, load, save

_START_S: Final = 20.0
_BLOCKS: Final = 1 << 18


class Refused(Exception):
    """No such disk can be had on this machine; the text says why."""


class LossyDisk:
    """The callbacks of FUSE on a tree. Handles are numbers. An open file that lost its last name can only be closed."""

    use_ns = True

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._opened: dict[int, Node] = {}
        self._next = 1

    def init_with_config(self, _connection: Any, config: Any) -> None:
        config.hard_remove = 1  # else libfuse keeps open files under names of its own
        config.use_ino = 1

    def _open(self, node: Node) -> int:
        handle, self._next = self._next, self._next + 1
        self._opened[handle] = node
        return handle

    def _file(self, path: str | None, handle: int | None) -> File:
        node = self._opened.get(handle or 0)
        if node is None and path is not None:
            node = self._tree.find(path)
        if not isinstance(node, File):
            raise fault(errno.EISDIR)
        return node

    def getattr(self, path: str | None, fh: int | None = None) -> dict[str, Any]:
        return _attributes(self._opened.get(fh or 0) or self._tree.find(path or "/"))

    def create(self, path: str, _mode: int, _flags: int) -> int:
        file = File()
        self._tree.change((path, file))
        return self._open(file)

    def open(self, path: str, _flags: int) -> int:
        return self._open(self._tree.file(path))

    def opendir(self, path: str) -> int:
        return self._open(self._tree.find(path))

    def release(self, _path: str | None, fh: int) -> int:
        self._opened.pop(fh, None)
        return 0

    releasedir = release

    def readdir(self, path: str, _fh: int) -> list[tuple[str, dict[str, Any], int]]:
        folder = self._tree.find(path)
        if not isinstance(folder, Folder):
            raise fault(errno.ENOTDIR)
        # Readers leave out names of inode 0.
        return [(name, _attributes(node), 0) for name, node in ((".", folder), ("..", folder), *folder.names.items())]

    def read(self, path: str | None, size: int, offset: int, fh: int) -> bytes:
        return bytes(self._file(path, fh).content[offset : offset + size])

    def write(self, path: str | None, data: bytes, offset: int, fh: int) -> int:
        file = self._file(path, fh)
        if len(file.content) < offset:
            file.content.extend(bytes(offset - len(file.content)))
        file.content[offset : offset + len(data)] = data
        file.dirty = True
        return len(data)

    def truncate(self, path: str | None, length: int, fh: int | None = None) -> int:
        file = self._file(path, fh)
        del file.content[length:]
        file.content.extend(bytes(length - len(file.content)))
        file.dirty = True
        return 0

    def fsync(self, path: str | None, _datasync: int, fh: int) -> int:
        self._tree.sync_file(self._file(path, fh))
        return 0

    def fsyncdir(self, path: str, _datasync: int, _fh: int) -> int:
        self._tree.sync_folder(path)
        return 0

    def mkdir(self, path: str, _mode: int) -> int:
        self._tree.change((path, Folder()))
        return 0

    def rmdir(self, path: str) -> int:
        node = self._tree.find(path)
        if isinstance(node, Folder) and node.names:
            raise fault(errno.ENOTEMPTY)
        self._tree.change((path, None))
        return 0

    def unlink(self, path: str) -> int:
        self._tree.file(path).links -= 1
        self._tree.change((path, None))
        return 0

    def link(self, target: str, source: str) -> int:
        file = self._tree.file(source)
        file.links += 1
        self._tree.change((target, file))
        return 0

    def rename(self, old: str, new: str) -> int:
        node = self._tree.find(old)
        folder, name = self._tree.place(new)
        replaced = folder.names.get(name)
        if isinstance(replaced, File) and replaced is not node:
            replaced.links -= 1
        self._tree.change((old, None), (new, node))
        return 0

    def chmod(self, _path: str | None, _mode: int, _fh: int | None = None) -> int:
        return 0

    def utimens(self, _path: str | None, _times: Any = None) -> int:
        return 0

    def statfs(self, _path: str) -> dict[str, int]:
        free = {"f_blocks": _BLOCKS, "f_bfree": _BLOCKS, "f_bavail": _BLOCKS}
        return {"f_bsize": PAGE, "f_frsize": PAGE, "f_namemax": 255, **free}


def _attributes(node: Node) -> dict[str, Any]:
    shared = {"st_ino": id(node), "st_uid": os.getuid(), "st_gid": os.getgid()}
    if isinstance(node, File):
        return {**shared, "st_mode": stat.S_IFREG | 0o644, "st_nlink": node.links, "st_size": len(node.content)}
    return {**shared, "st_mode": stat.S_IFDIR | 0o755, "st_nlink": 2}


class Mounted:
    """A lossy disk at the folder `place`; what it holds between mounts is in `kept`. `seed`: of what a cut loses."""

    def __init__(self, kept: Path, place: Path, seed: int) -> None:
        self._kept, self._place, self._seed = kept, place, seed

    def __enter__(self) -> Self:
        for folder in (self._kept, self._place):
            folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "tests.crash.mount", str(self._kept), str(self._place), str(self._seed)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=_environment())
        until = time.monotonic() + _START_S
        while not self._place.is_mount():
            if self._process.poll() is not None or time.monotonic() > until:
                self._process.kill()
                said = (self._process.communicate()[0] or b"").decode().strip()
                raise Refused(
                    f"no FUSE file system can be mounted here: {said.splitlines()[-1:] or 'it does not come'}"
                )
            time.sleep(0.005)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Cut the power. Nobody may have a file open."""
        until = time.monotonic() + _START_S
        while subprocess.run(["fusermount3", "-u", str(self._place)], capture_output=True, check=False).returncode:
            if time.monotonic() > until:
                subprocess.run(["fusermount3", "-uz", str(self._place)], check=False)
                self._process.kill()
                raise AssertionError(f"{self._place} is still used")
            time.sleep(0.01)
        said, _ = self._process.communicate(timeout=_START_S)
        assert self._process.returncode == 0, said.decode()


def _environment() -> dict[str, str]:
    # mfusepy takes libfuse 2 where both are there, and has another interface then.
    return {**os.environ, "FUSE_LIBRARY_NAME": "fuse3"}


def main(kept: Path, place: Path, seed: int) -> None:
    """Serve the disk until it is unmounted, then keep what survived."""
    try:
        fuse = importlib.import_module("mfusepy").FUSE
    except (ImportError, OSError) as error:
        sys.exit(f"{error}: install the Debian package fuse3 and the Python package mfusepy")
    tree = load(kept)
    fuse(LossyDisk(tree), str(place), foreground=True, nothreads=True, default_permissions=True)
    tree.cut(random.Random(seed))  # noqa: S311 (a test's input)
    save(tree, kept)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
