"""A folder as destination: whole objects or none, and clear errors."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.objects import finished
from tests.support.small_disk import mounted

from flowglass.deliver import DirectorySink, Sink, TempFile
from flowglass.fields.contracts import FinishedObject
from flowglass.fields.errors import DestinationFull, DestinationUnwritable

KEY = "AWSLogs/1/x.log.gz"


def put(sink: Sink, content: bytes, key: str = KEY) -> bool:
    temp = sink.open_temp()
    try:
        temp.write(content)
        return sink.put(finished_as(temp, key))
    finally:
        temp.close()


def finished_as(temp: TempFile, key: str = KEY) -> FinishedObject:
    return FinishedObject(
        path=str(temp.path),
        key=key,
        sha256=temp.sha256(),
        first_end_s=0,
        last_end_s=0,
        records=1,
        size_bytes=temp.size_bytes,
    )


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path, "size=64k") as disk:
        yield disk


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path, "ro") as disk:
        yield disk


def test_an_object_gets_its_name_and_the_temporary_file_is_its_owners(tmp_path: Path) -> None:
    root = tmp_path / "new" / "folder"
    sink = DirectorySink(root)
    temp = sink.open_temp()
    temp.write(b"content")
    assert sink.put(finished_as(temp))
    assert temp.path.samefile(root / KEY)
    temp.close()
    assert (root / KEY).read_bytes() == b"content"
    assert files(root) == [KEY]


def test_an_object_is_readable_as_the_umask_allows(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        sink = DirectorySink(tmp_path)
        put(sink, b"content")
    finally:
        os.umask(before)
    assert (tmp_path / KEY).stat().st_mode & 0o777 == 0o640


def test_a_name_that_is_taken_is_never_replaced(tmp_path: Path) -> None:
    sink = DirectorySink(tmp_path)
    assert put(sink, b"first")
    assert not put(sink, b"second")
    assert (tmp_path / KEY).read_bytes() == b"first"
    assert files(tmp_path) == [KEY]


def test_temporary_files_count_and_digest_what_they_take(tmp_path: Path) -> None:
    temp = DirectorySink(tmp_path).open_temp()
    assert (temp.write(b"ab"), temp.write(b"c")) == (2, 1)
    assert (temp.size_bytes, temp.closed) == (3, False)
    assert temp.sha256() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, B.1
    temp.close()
    temp.close()
    assert temp.closed
    assert files(tmp_path) == []


def test_clean_removes_what_a_killed_process_left_and_nothing_else(tmp_path: Path) -> None:
    program = (
        "import os, sys; from flowglass.deliver import DirectorySink; "
        "DirectorySink(sys.argv[1]).open_temp().write(b'half'); os.kill(os.getpid(), 9)"
    )
    died = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    assert died.returncode == -9
    sink = DirectorySink(tmp_path)
    kept = sink.open_temp()
    assert len(files(tmp_path)) == 2
    assert sink.clean() == 1
    assert files(tmp_path) == [str(kept.path.relative_to(tmp_path))]
    kept.close()
    assert (sink.clean(), files(tmp_path)) == (0, [])


def test_clean_of_a_folder_that_is_not_there_finds_nothing(tmp_path: Path) -> None:
    assert DirectorySink(tmp_path / "absent").clean() == 0
    assert not (tmp_path / "absent").exists()


def test_a_file_in_the_way_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DestinationUnwritable, match="Not a directory; choose a folder") as caught:
        DirectorySink(tmp_path / "file" / "below").open_temp()
    assert str(tmp_path / "file") in str(caught.value)


def test_a_file_in_the_way_of_a_key_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "AWSLogs").write_bytes(b"")
    sink = DirectorySink(tmp_path)
    with pytest.raises(DestinationUnwritable, match="AWSLogs"):
        put(sink, b"content")
    assert files(tmp_path) == ["AWSLogs"]


def test_a_read_only_file_system_is_told(read_only: Path) -> None:
    with pytest.raises(DestinationUnwritable, match="Read-only file system; choose a folder"):
        DirectorySink(read_only).open_temp()


def test_a_full_disk_is_told_and_nothing_is_left(small_disk: Path) -> None:
    sink = DirectorySink(small_disk)
    temp = sink.open_temp()
    with pytest.raises(DestinationFull, match="No space left on device; make room") as caught:
        temp.write(bytes(100_000))
    assert str(caught.value).startswith(str(small_disk))
    temp.close()
    assert files(small_disk) == []
    assert put(sink, bytes(1000))


def test_a_file_of_another_disk_is_copied_and_stays(small_disk: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("staged")
    sink = DirectorySink(small_disk)
    first = finished(elsewhere, b"content", KEY)
    assert sink.put(first)
    assert not sink.put(finished(elsewhere, b"other", KEY))
    assert (small_disk / KEY).read_bytes() == Path(first.path).read_bytes() == b"content"
    assert files(small_disk) == [KEY]


def test_a_copy_that_finds_the_disk_full_leaves_nothing(
    small_disk: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    large = finished(tmp_path_factory.mktemp("staged"), bytes(100_000), KEY)
    with pytest.raises(DestinationFull, match="No space left on device"):
        DirectorySink(small_disk).put(large)
    assert files(small_disk) == []


def test_a_finished_file_that_is_gone_is_told(tmp_path: Path) -> None:
    gone = finished(tmp_path, b"content", KEY)
    Path(gone.path).unlink()
    with pytest.raises(DestinationUnwritable, match="No such file"):
        DirectorySink(tmp_path / "to").put(gone)


@pytest.mark.parametrize("key", ["../out", "a/../../out", "a/..", "{here}/out"])
def test_a_key_never_leads_out_of_the_folder(tmp_path: Path, key: str) -> None:
    object_ = finished(tmp_path, b"content", key.format(here=tmp_path))
    with pytest.raises(DestinationUnwritable, match="leads out of it"):
        DirectorySink(tmp_path / "to").put(object_)
    assert not list(tmp_path.rglob("out"))


def test_a_disk_with_too_little_room_takes_nothing_until_there_is_more(small_disk: Path) -> None:
    sink = DirectorySink(small_disk, min_free_bytes=50_000)
    assert put(sink, bytes(1000), "a")
    temp = sink.open_temp()
    filler = small_disk / "filler"
    filler.write_bytes(bytes(30_000))
    for refused in (sink.open_temp, lambda: sink.put(finished_as(temp, "b"))):
        with pytest.raises(
            DestinationFull, match=r": only 0 MB free, \[local_store\] min_free_megabytes is 0; make room"
        ):
            refused()
    filler.unlink()
    assert sink.put(finished_as(temp, "b"))
    temp.close()


def test_room_is_measured_before_the_folder_is_there(tmp_path: Path) -> None:
    with pytest.raises(DestinationFull, match=r"min_free_megabytes is 1000000000000; make room"):
        DirectorySink(tmp_path / "a" / "b", min_free_bytes=10**18).open_temp()
    assert not (tmp_path / "a").exists()


def test_a_folder_that_is_taken_away_meanwhile_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As retention does with empty ones, between the making of the folder and the link in it."""
    object_, real = finished(tmp_path, b"content", KEY), os.link
    seen: list[Path] = []

    def link(source: Path, target: Path) -> None:
        if not seen:
            target.parent.rmdir()
        seen.append(target)
        real(source, target)

    monkeypatch.setattr(os, "link", link)
    assert DirectorySink(tmp_path / "to").put(object_)
    assert (tmp_path / "to" / KEY).read_bytes() == b"content"
    assert len(seen) == 2
