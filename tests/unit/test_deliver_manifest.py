"""Manifests: lines that are chained, mended after a crash, and held against the objects."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from flowglass.deliver.manifest import (
    FIRST,
    Line,
    append,
    catch_up,
    local_place,
    manifest_path,
    note_removed,
    retention_path,
    verify,
)
from flowglass.deliver.readback import LocalObjects, objects_at
from flowglass.deliver.rules import DestinationRules
from flowglass.deliver.spool import SpoolView
from flowglass.deliver.verify import Fault, Finding, Report, verify_objects
from flowglass.fields.errors import DestinationRefused, DestinationUnreachable, DestinationUnwritable, OptionError

FL = "fl-1234abcd"
PLACE = local_place("s3", "logs")
ROOT = "AWSLogs/123456789012/vpcflowlogs/us-east-1"
AT_MS = 1_529_511_900_123  # 2018-06-20 16:25:00.123 UTC


def key_of(n: int, flow_log_id: str = FL) -> str:
    return f"{ROOT}/2018/06/20/123456789012_vpcflowlogs_us-east-1_{flow_log_id}_20180620T1620Z_{n:08x}.log.gz"


def line(n: int, **more: object) -> Line:
    facts: dict[str, object] = {"n": n, "at_ms": AT_MS, "place": PLACE, "key": key_of(n), "sha256": f"{n:064x}"}
    facts |= {"size_bytes": 10 * n, "records": n, "first_end_s": 1_529_511_600, "last_end_s": 1_529_511_899}
    return Line(**(facts | more))  # type: ignore[arg-type]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return manifest_path(tmp_path, FL, "0b7f")


def numbers(path: Path) -> list[int]:
    return [json.loads(text)["n"] for text in path.read_bytes().splitlines()]


def breaks(path: Path) -> list[int]:
    return [found.line for found in verify(path.read_bytes().splitlines())]


def test_a_line_tells_what_was_delivered_and_names_the_line_before_it(path: Path) -> None:
    assert append(path, line(1))
    assert append(path, line(2))
    first, second = path.read_bytes().splitlines()
    assert json.loads(first) == {
        "n": 1,
        "kind": "delivered",
        "at": "2018-06-20T16:25:00.123Z",
        "place": "local:s3/logs",
        "key": key_of(1),
        "sha256": f"{1:064x}",
        "size_bytes": 10,
        "records": 1,
        "first_end": 1_529_511_600,
        "last_end": 1_529_511_899,
        "previous": FIRST,
    }
    assert json.loads(second)["previous"] == hashlib.sha256(first).hexdigest()
    assert path == path.parent.parent / FL / "0b7f.jsonl"
    assert path.stat().st_mode & 0o777 == 0o600
    assert breaks(path) == []


def test_a_line_that_is_there_is_not_written_again(path: Path) -> None:
    for n in (1, 2, 2, 1, 3):
        append(path, line(n))
    assert numbers(path) == [1, 2, 3]


def test_every_tear_at_the_end_is_mended_when_the_lines_are_given_again(tmp_path: Path) -> None:
    whole = manifest_path(tmp_path, FL, "whole")
    lines = [line(n) for n in (1, 2, 3)]
    catch_up(whole, lambda last: lines[last:])
    content = whole.read_bytes()
    torn = manifest_path(tmp_path, FL, "torn")
    for size in range(0, len(content) + 1, 7):
        torn.write_bytes(content[:size])
        catch_up(torn, lambda last: lines[last:])
        assert torn.read_bytes() == content
    for hole in (1, 40, 400):  # a disk may lose what was not synced and keep the length
        torn.write_bytes(content[:-hole] + bytes(hole))
        catch_up(torn, lambda last: lines[last:])
        assert torn.read_bytes() == content


def test_lines_longer_than_what_is_read_at_once_are_found(path: Path) -> None:
    for n in (1, 2):
        append(path, line(n, key="k" * 200_000))
    append(path, line(3))
    assert numbers(path) == [1, 2, 3]
    assert breaks(path) == []


def test_threads_that_catch_up_at_the_same_time_lose_no_line_and_keep_the_order(path: Path) -> None:
    journal: list[Line] = []
    lock = threading.Lock()

    def after(last: int) -> list[Line]:
        with lock:
            return journal[last:]

    def work() -> None:
        for _ in range(25):
            with lock:
                journal.append(line(len(journal) + 1))
            catch_up(path, after)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert numbers(path) == list(range(1, 101))
    assert breaks(path) == []


def without(texts: list[bytes], place: int) -> list[bytes]:
    return texts[:place] + texts[place + 1 :]


@pytest.mark.parametrize(
    ("tamper", "broken"),
    [
        (lambda texts: without(texts, 0), [1]),
        (lambda texts: without(texts, 1), [2]),
        (lambda texts: [texts[0], texts[2], texts[1], texts[3]], [2, 3, 4]),
        (lambda texts: [texts[0], texts[0], *texts[1:]], [2]),
        (lambda texts: [texts[0], texts[1].replace(b'"records":2', b'"records":9'), *texts[2:]], [3]),
        (lambda texts: [texts[0], b"{}", *texts[2:]], [2, 3]),
        (lambda texts: [*texts, b"[" * 100_000], [5]),
    ],
)
def test_a_changed_removed_or_added_line_breaks_the_chain(
    path: Path, tamper: Callable[[list[bytes]], list[bytes]], broken: list[int]
) -> None:
    catch_up(path, lambda _: [line(n) for n in (1, 2, 3, 4)])
    path.write_bytes(b"\n".join(tamper(path.read_bytes().splitlines())) + b"\n")
    assert sorted(set(breaks(path))) == broken


def test_a_folder_in_which_nobody_may_write_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "manifests").write_text("in the way")
    with pytest.raises(DestinationUnwritable, match="manifests"):
        append(manifest_path(tmp_path, FL, "w"), line(1))


def deliver(data: Path, n: int, flow_log_id: str = FL, *, place: str = PLACE, key: str = "") -> Path:
    """An object in the local store, with its line."""
    key = key or key_of(n, flow_log_id)
    target = data / place.removeprefix("local:") / key
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(b"object %d" % n)
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    append(manifest_path(data, flow_log_id, "w"), line(n, key=key, sha256=digest, place=place))
    return target


def looked(data: Path, *only: str, journal: SpoolView | None = None) -> Report:
    return verify_objects(data, lambda place: objects_at(place, data, DestinationRules()), only, journal)


def found(data: Path, *only: str) -> list[tuple[Fault, str, str]]:
    return [(one.fault, one.flow_log_id, one.where.rpartition("_")[2]) for one in looked(data, *only).findings]


def test_what_was_delivered_and_is_there_is_in_order(tmp_path: Path) -> None:
    for n in (1, 2, 3):
        deliver(tmp_path, n)
    deliver(tmp_path, 1, "fl-00000000", place=local_place("logs", "%2Fvpc"), key="eni-1-all/20180620T1620Z_1.jsonl")
    report = verify_objects(tmp_path, lambda place: objects_at(place, tmp_path, DestinationRules()))
    assert (report.manifests, report.objects, report.findings) == (2, 4, [])


def test_a_changed_a_removed_and_an_added_object_are_found(tmp_path: Path) -> None:
    paths = [deliver(tmp_path, n) for n in (1, 2, 3)]
    paths[0].write_bytes(b"other")
    paths[1].unlink()
    paths[2].with_name(Path(key_of(9)).name).write_bytes(b"added")
    paths[2].with_name(Path(key_of(9, "fl-99999999")).name).write_bytes(b"another flow log's")
    assert found(tmp_path) == [
        (Fault.CHANGED, FL, "00000001.log.gz"),
        (Fault.REMOVED, FL, "00000002.log.gz"),
        (Fault.ADDED, FL, "00000009.log.gz"),
        (Fault.UNKNOWN, "fl-99999999", f"{PLACE}/{ROOT}/"),
    ]
    assert found(tmp_path, "fl-99999999") == []


def test_whatever_lies_below_the_folder_of_a_flow_log_and_has_no_name_of_its_objects_was_added(tmp_path: Path) -> None:
    folder = deliver(tmp_path, 1).parent
    (folder / "evil.log.gz").write_bytes(b"added")
    (folder / "link").symlink_to(tmp_path)
    (folder / "dangling.log.gz").symlink_to(tmp_path / "absent")
    (folder / "empty").mkdir()
    (Path(os.fsdecode(os.fsencode(folder) + b"/\xff"))).write_bytes(b"no text")
    (tmp_path / "s3" / "logs" / "notes.txt").write_bytes(b"somebody's own, elsewhere")
    added = {
        f"{PLACE}/{Path(key_of(1)).parent}/{name}" for name in ("evil.log.gz", "link", "dangling.log.gz", "\\udcff")
    }
    report = looked(tmp_path)
    assert {(one.fault, one.where) for one in report.findings} == {(Fault.ADDED, where) for where in added}
    assert {one.where for one in looked(tmp_path, FL).faults} == added


def test_objects_of_other_flow_logs_are_a_warning_and_counted(tmp_path: Path) -> None:
    folder = deliver(tmp_path, 1).parent
    deliver(tmp_path, 1, "fl-00000000")
    for number in (1, 2):
        (folder / Path(key_of(number, "fl-99999999")).name).write_bytes(b"another's")
    for report in (looked(tmp_path), looked(tmp_path, FL)):
        (finding,) = report.findings
        assert finding == (Fault.UNKNOWN, "fl-99999999", f"{PLACE}/{ROOT}/", "objects: 2")
        assert report.faults == []


def noted(data: Path, *lines: Line) -> SpoolView:
    """What the journal still has of the lines of FL."""
    return SpoolView(root=data / "spool", writer="w", lines={FL: lines})


def test_what_is_cut_off_a_manifest_or_gone_with_it_shows_by_the_journal(tmp_path: Path) -> None:
    paths = [deliver(tmp_path, n) for n in (1, 2, 3)]
    journal = noted(tmp_path, line(3, sha256=hashlib.sha256(b"object 3").hexdigest()))
    assert looked(tmp_path, journal=journal).findings == []
    manifest = manifest_path(tmp_path, FL, "w")
    lines = manifest.read_bytes().splitlines(keepends=True)
    # Without its last line, which the journal has, nothing is unknown: that is what a crash leaves.
    manifest.write_bytes(b"".join(lines[:2]))
    assert looked(tmp_path, journal=journal).findings == []
    manifest.write_bytes(lines[0])
    for path in paths[1:]:
        path.unlink()
    cut = Finding(Fault.CHAIN, FL, str(manifest), "it ends with line 1 and had at least 2")
    gone = Finding(Fault.REMOVED, FL, f"{PLACE}/{key_of(3)}")
    assert looked(tmp_path, journal=journal).findings == [cut, gone]
    paths[0].unlink()
    manifest.unlink()
    cut = cut._replace(what="it ends with line 0 and had at least 2")
    assert looked(tmp_path, journal=journal).findings == [cut, gone]
    manifest.parent.rmdir()
    assert looked(tmp_path, FL, journal=journal).findings == [cut, gone]
    assert looked(tmp_path, "fl-00000000", journal=journal).findings == []


def test_lines_are_held_in_memory_one_flow_log_at_a_time(tmp_path: Path) -> None:
    flow_logs, lines = 20, 500
    for number in range(flow_logs):
        flow_log_id = f"fl-{number:08x}"
        told = {0: [line(n, key=key_of(n, flow_log_id)) for n in range(1, lines + 1)]}
        catch_up(manifest_path(tmp_path, flow_log_id, "w"), told.__getitem__)
    tracemalloc.start()
    try:
        report = verify_objects(tmp_path, lambda _: AsDelivered(tmp_path))
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (report.objects, report.findings) == (flow_logs * lines, [])
    assert peak_bytes < 200 * flow_logs * lines


class AsDelivered(LocalObjects):
    """Objects of which each has the digest that its line has."""

    def sha256(self, key: str) -> str | None:
        return key.removesuffix(".log.gz")[-8:].rjust(64, "0")


def test_only_the_folder_of_the_objects_is_looked_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    real = os.scandir

    def scandir(path: str) -> object:
        opened.append(os.fspath(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    deliver(tmp_path, 1)
    objects = LocalObjects(tmp_path / "s3" / "logs")
    (tmp_path / "s3" / "logs" / "AWSLogs" / "other").write_bytes(b"")
    (tmp_path / "s3" / "logs" / ".partial").mkdir()
    (tmp_path / "s3" / "logs" / ".partial" / "1.tmp").write_bytes(b"")
    assert list(objects.keys(f"{ROOT}/")) == [key_of(1)]
    assert {str(Path(path).relative_to(tmp_path / "s3" / "logs")).startswith(ROOT) for path in opened} == {True}
    assert sorted(objects.keys("")) == [key_of(1), "AWSLogs/other"]
    assert list(objects.keys("absent/")) == []


def test_a_folder_that_cannot_be_listed_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(DestinationUnwritable, match="loop: "):
        list(LocalObjects(tmp_path).keys("loop/"))


def test_log_files_that_no_flow_log_wrote_are_found(tmp_path: Path) -> None:
    group = local_place("logs", "%2Fvpc")
    deliver(tmp_path, 1, place=group, key="eni-1-all/20180620T1620Z_00000001.jsonl")
    deliver(tmp_path, 1, "fl-00000000", place=group, key="eni-1-all/20180620T1620Z_00000002.jsonl")
    (tmp_path / "logs" / "%2Fvpc" / ".partial").mkdir()
    (tmp_path / "logs" / "%2Fvpc" / ".partial" / "1.jsonl").write_text("unfinished")
    assert found(tmp_path, FL) == []
    (tmp_path / "logs" / "%2Fvpc" / "eni-1-all" / "20180620T1620Z_00000003.jsonl").write_text("added")
    assert found(tmp_path, FL) == [(Fault.ADDED, "", "00000003.jsonl")]


def test_lines_cut_off_the_end_show_by_their_objects(tmp_path: Path) -> None:
    for n in (1, 2, 3):
        deliver(tmp_path, n)
    path = manifest_path(tmp_path, FL, "w")
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
    assert found(tmp_path) == [(Fault.ADDED, FL, "00000003.log.gz")]


def test_a_broken_chain_is_told_with_its_line(tmp_path: Path) -> None:
    for n in (1, 2):
        deliver(tmp_path, n)
    path = manifest_path(tmp_path, FL, "w")
    path.write_bytes(path.read_bytes().replace(b'"size_bytes":10', b'"size_bytes":11'))
    (finding,) = verify_objects(tmp_path, lambda _: LocalObjects(tmp_path / "s3" / "logs")).findings
    assert finding.fault is Fault.CHAIN
    assert finding.where == f"{path}:2"


def test_what_retention_removed_is_not_missed_but_a_change_of_it_is(tmp_path: Path) -> None:
    paths = [deliver(tmp_path, n) for n in (1, 2, 3)]
    for path in paths[:2]:
        note_removed(tmp_path, path, now_ms=AT_MS)
    paths[0].unlink()
    assert found(tmp_path) == []
    assert breaks(retention_path(tmp_path)) == []
    assert numbers(retention_path(tmp_path)) == [1, 2]
    paths[1].write_bytes(b"other")
    assert found(tmp_path) == [(Fault.CHANGED, FL, "00000002.log.gz")]


def test_a_bucket_that_no_configuration_has_any_more_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"s3://gone: .* \[buckets.gone\]"):
        objects_at("s3://gone", tmp_path, DestinationRules())


@pytest.mark.parametrize(
    "key", ["nul\0", "surrogate\ud800", "x" * 300, ROOT, f"{key_of(1)}/below", ""], ids=lambda key: repr(key)[:12]
)
def test_an_object_under_a_name_that_no_object_can_have_is_not_there(tmp_path: Path, key: str) -> None:
    deliver(tmp_path, 1)
    catch_up(manifest_path(tmp_path, FL, "w"), lambda _: [line(2, key=key)])
    findings = [one for one in looked(tmp_path, FL).findings if one.fault is not Fault.ADDED]
    assert [(one.fault, one.where.isprintable()) for one in findings] == [(Fault.REMOVED, True)]


def test_a_line_with_another_end_is_no_line_of_a_manifest(tmp_path: Path) -> None:
    deliver(tmp_path, 1)
    path = manifest_path(tmp_path, FL, "w")
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert [(one.fault, one.what) for one in looked(tmp_path).findings] == [
        (Fault.CHAIN, "it is no line of a manifest")
    ]


class Down(LocalObjects):
    """A place that fails but for one object."""

    def __init__(self, root: Path, well: str) -> None:
        super().__init__(root)
        self.asked = 0
        self._well = well

    def sha256(self, key: str) -> str | None:
        self.asked += 1
        if key == self._well:
            return super().sha256(key)
        raise DestinationUnreachable(f"no answer; tried {'often' if self.asked > 2 else 'once'}")


def test_what_cannot_be_looked_at_is_told_and_everything_else_is_looked_at(tmp_path: Path) -> None:
    for n in range(1, 7):
        deliver(tmp_path, n, place="s3://far")
    deliver(tmp_path, 7).write_bytes(b"changed")
    down = Down(tmp_path, well="")
    report = verify_objects(
        tmp_path, lambda place: down if place == "s3://far" else objects_at(place, tmp_path, DestinationRules())
    )
    assert [one.where for one in report.unreadable] == [f"s3://far/{key_of(n)}" for n in range(1, 7)]
    assert [one.what for one in report.unreadable] == ["no answer; tried once", "", "no answer; tried often"] + [""] * 3
    assert down.asked == 3
    assert [one.fault for one in report.faults] == [Fault.CHANGED]
    assert report.objects == 1


def test_a_place_that_answers_now_and_then_is_asked_to_the_end(tmp_path: Path) -> None:
    for n in range(1, 6):
        deliver(tmp_path, n)
    down = Down(tmp_path / "s3" / "logs", well=key_of(3))
    report = verify_objects(tmp_path, lambda _: down)
    assert (down.asked, report.objects, len(report.unreadable), report.faults) == (5, 1, 4, [])


def test_a_place_that_may_not_be_listed_is_unreadable_and_its_objects_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(self: LocalObjects, folder: str) -> list[str]:
        raise DestinationRefused("no right to list")

    monkeypatch.setattr(LocalObjects, "keys", refused)
    deliver(tmp_path, 1)
    report = looked(tmp_path)
    assert report.findings == [Finding(Fault.UNREADABLE, "", f"{PLACE}/{ROOT}/", "no right to list")]
    assert report.objects == 1


def test_a_place_that_no_configuration_has_any_more_is_unreadable(tmp_path: Path) -> None:
    deliver(tmp_path, 1, place="s3://gone")
    (finding,) = looked(tmp_path).findings
    assert (finding.fault, finding.where) == (Fault.UNREADABLE, f"s3://gone/{key_of(1)}")
    assert "set endpoint in [buckets.gone]" in finding.what
