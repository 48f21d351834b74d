"""The folder that captures are dropped into: what is taken from it, and what is told of the rest."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from flowglass.app.agent.captures import DONE, EMPTY_S, FAILED, CaptureFolder


@pytest.fixture
def folder(tmp_path: Path) -> CaptureFolder:
    return CaptureFolder(tmp_path / "captures")


def empty(path: Path, *, older_by_s: float) -> Path:
    path.touch()
    changed_s = path.stat().st_mtime - older_by_s
    os.utime(path, (changed_s, changed_s))
    return path


def test_its_own_folders_and_unfinished_files_are_nothing_to_tell_of(folder: CaptureFolder) -> None:
    empty(folder.root / "coming.pcap.part", older_by_s=2 * EMPTY_S)
    empty(folder.root / ".hidden.pcap", older_by_s=2 * EMPTY_S)
    assert {path.name for path in folder.root.iterdir()} >= {DONE, FAILED}
    assert folder.complete() == []
    assert folder.ignored == {}


def test_a_folder_within_it_is_told_of(folder: CaptureFolder) -> None:
    (folder.root / "monday").mkdir()
    (folder.root / "monday" / "a.pcap").write_bytes(b"content")
    assert folder.complete() == []
    assert list(folder.ignored) == ["monday"]
    assert "folder" in folder.ignored["monday"]


def test_an_empty_file_is_told_of_when_it_stays_empty(folder: CaptureFolder) -> None:
    empty(folder.root / "begun.pcap", older_by_s=0)
    empty(folder.root / "left.pcap", older_by_s=EMPTY_S + 1)
    assert folder.complete() == []
    assert list(folder.ignored) == ["left.pcap"]
    assert "empty" in folder.ignored["left.pcap"]


def test_what_was_filled_or_went_away_is_ignored_no_more(folder: CaptureFolder) -> None:
    filled = empty(folder.root / "filled.pcap", older_by_s=EMPTY_S + 1)
    gone = empty(folder.root / "gone.pcap", older_by_s=EMPTY_S + 1)
    folder.complete()
    assert set(folder.ignored) == {"filled.pcap", "gone.pcap"}
    filled.write_bytes(b"content")
    os.utime(filled, (0, 0))
    gone.unlink()
    assert folder.complete() == [filled]
    assert folder.ignored == {}
