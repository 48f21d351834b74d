"""Retention of the local store: the oldest flow-log objects go first, each is told, and nothing else is touched."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from flowglass.deliver import Removed, Retention, remove_old
from flowglass.fields.errors import DestinationUnwritable

HOUR_S: Final = 3600
START_S: Final = int(datetime(2026, 3, 1, tzinfo=UTC).timestamp())
NOW_S: Final = START_S + 100 * HOUR_S
OTHERS: Final = (
    "s3/team/notes.txt",
    "s3/team/AWSLogs/1/vpcflowlogs/eu-west-1/2026/03/01/readme.log.gz",
    "s3/team/123456789012_vpcflowlogs_eu-west-1_fl-0123456789abcdef0_20200101T0000Z_12345678.log.gz",  # no layout
    "s3/team/AWSLogs/123456789012_vpcflowlogs_eu-west-1_fl-0123456789abcdef0_20209901T0000Z_12345678.log.gz",
    "s3/team/.partial/AWSLogs/123456789012_vpcflowlogs_eu-west-1_fl-0123456789abcdef0_20200101T0000Z_12345678.log.gz",
    "s3/team/AWSLogs/20200101T0000Z_12345678.jsonl",
    "logs/group/eni-1-all/20200101T0000Z_1234567.jsonl",
    "logs/group/eni-1-all/20209901T0000Z_12345678.jsonl",
    "spool/segments/20200101T0000Z_12345678.jsonl",
    "buckets/team.json",
)


def path_of(kind: str, hours: int) -> str:
    """Where the object of a period lies that begins so many hours after START_S."""
    time = datetime.fromtimestamp(START_S + hours * HOUR_S, UTC)
    name = f"{time:%Y%m%dT%H%M}Z_{hours:08x}"
    match kind:
        case "s3":
            folder = f"s3/team/AWSLogs/123456789012/vpcflowlogs/eu-west-1/{time:%Y/%m/%d/%H}"
            return f"{folder}/123456789012_vpcflowlogs_eu-west-1_fl-0123456789abcdef0_{name}.log.gz"
        case "logs":
            return f"logs/group/eni-1-all/{name}.jsonl"
    return f"firehose/stream/{time:%Y/%m/%d/%H}/{name}.jsonl"


def write(root: Path, *paths: str, size_bytes: int = 100) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(bytes(size_bytes))


def files(root: Path) -> set[str]:
    found = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    return found - {"manifests/retention.time"}


def look_before(root: Path, at_s: int) -> None:
    """As if there had been a look at a time that nobody doubts."""
    write(root, "manifests/retention.time")
    (root / "manifests" / "retention.time").write_text(f"{at_s}")


def clean(root: Path, *, now_s: int = NOW_S, **retention: int) -> tuple[Removed, list[str]]:
    told: list[str] = []

    def removed(path: Path) -> None:
        assert path.exists(), "told before it goes"
        told.append(str(path.relative_to(root)))

    return remove_old(root, Retention(**retention), now_s=now_s, removed=removed, stop=lambda: False), told


@pytest.mark.parametrize("kind", ["s3", "logs", "firehose"])
def test_what_is_too_old_goes_and_what_is_not_stays(tmp_path: Path, kind: str) -> None:
    paths = [path_of(kind, hours) for hours in (0, 49, 50, 99)]
    write(tmp_path, *paths, *OTHERS)
    # The period of 49 h ended 50 h 55 min ago, that of 50 h 49 h 55 min ago.
    assert clean(tmp_path, max_age_s=50 * HOUR_S) == (Removed(2, 200), paths[:2])
    assert files(tmp_path) == {*paths[2:], *OTHERS}


def test_the_oldest_go_until_the_rest_is_small_enough(tmp_path: Path) -> None:
    by_age = [path_of("logs", 1), path_of("s3", 2), path_of("firehose", 3), path_of("s3", 4), path_of("logs", 5)]
    write(tmp_path, *reversed(by_age), *OTHERS)
    assert clean(tmp_path, max_bytes=250) == (Removed(3, 300), by_age[:3])
    assert files(tmp_path) == {*by_age[3:], *OTHERS}
    assert clean(tmp_path, max_bytes=250) == (Removed(), [])


def test_what_others_put_there_neither_counts_nor_goes(tmp_path: Path) -> None:
    write(tmp_path, *OTHERS, size_bytes=10_000)
    assert clean(tmp_path, max_bytes=1, max_age_s=1) == (Removed(), [])
    assert files(tmp_path) == set(OTHERS)


def test_without_bounds_all_stays(tmp_path: Path) -> None:
    write(tmp_path, path_of("s3", 0))
    assert clean(tmp_path) == (Removed(), [])


def test_a_store_that_is_not_there_has_nothing_to_remove(tmp_path: Path) -> None:
    assert clean(tmp_path / "absent", max_bytes=1) == (Removed(), [])


def test_empty_folders_go_but_the_bucket_and_the_group_stay(tmp_path: Path) -> None:
    write(tmp_path, path_of("s3", 0), path_of("s3", 30), path_of("logs", 0))
    look_before(tmp_path, NOW_S)
    clean(tmp_path, max_age_s=80 * HOUR_S)
    folders = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_dir()}
    root = "s3/team/AWSLogs/123456789012/vpcflowlogs/eu-west-1/2026/03"
    assert f"{root}/02/06" in folders
    assert f"{root}/01" not in folders
    assert {one for one in folders if one.startswith("logs")} == {"logs", "logs/group"}
    clean(tmp_path, max_age_s=1)
    assert [path.name for path in (tmp_path / "s3").rglob("*")] == ["team"]


@pytest.mark.parametrize("looked_before", [True, False])
def test_a_clock_that_is_set_forward_removes_nothing(tmp_path: Path, *, looked_before: bool) -> None:
    paths = [path_of("s3", hours) for hours in (60, 99)]
    write(tmp_path, *paths)
    if looked_before:
        assert clean(tmp_path, max_age_s=50 * HOUR_S) == (Removed(), [])
        write(tmp_path, path_of("s3", 100 + 400 * 24))  # recorded by the wrong clock
    ahead_s = NOW_S + 400 * 24 * HOUR_S
    for _ in range(5):  # each look may as well be that of a new start
        assert clean(tmp_path, now_s=ahead_s, max_age_s=50 * HOUR_S) == (Removed(), [])
    assert clean(tmp_path, now_s=NOW_S + HOUR_S, max_age_s=50 * HOUR_S) == (Removed(), [])


def test_a_clock_that_stays_ahead_is_followed_an_hour_a_look(tmp_path: Path) -> None:
    write(tmp_path, path_of("s3", 95), path_of("s3", 96))
    look_before(tmp_path, NOW_S)
    gone = [clean(tmp_path, now_s=NOW_S + 1000 * HOUR_S, max_age_s=10 * HOUR_S)[0].objects for _ in range(8)]
    assert gone == [0, 0, 0, 0, 0, 1, 1, 0]


def test_a_clock_that_was_set_back_for_a_while_holds_up_no_longer_than_that(tmp_path: Path) -> None:
    write(tmp_path, path_of("s3", 90))
    look_before(tmp_path, NOW_S)
    assert clean(tmp_path, now_s=0, max_age_s=5 * HOUR_S) == (Removed(), [])
    assert clean(tmp_path, max_age_s=5 * HOUR_S)[0].objects == 1


def test_a_note_of_the_last_look_that_a_crash_tore_is_as_none(tmp_path: Path) -> None:
    write(tmp_path, path_of("s3", 0), path_of("s3", 99))
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests" / "retention.time").write_bytes(bytes(21))
    assert clean(tmp_path, now_s=NOW_S + 10_000 * HOUR_S, max_age_s=100 * HOUR_S + 600) == (Removed(), [])
    assert clean(tmp_path, max_age_s=50 * HOUR_S)[0].objects == 1


def test_links_are_not_followed(tmp_path: Path) -> None:
    write(tmp_path / "elsewhere", path_of("s3", 0))
    (tmp_path / "data" / "s3").mkdir(parents=True)
    (tmp_path / "data" / "s3" / "linked").symlink_to(tmp_path / "elsewhere" / "s3" / "team")
    assert clean(tmp_path / "data", max_age_s=1, max_bytes=1) == (Removed(), [])


def test_what_cannot_be_told_stays(tmp_path: Path) -> None:
    write(tmp_path, path_of("s3", 0), path_of("s3", 1))

    def removed(path: Path) -> None:
        raise DestinationUnwritable(f"{path}: the manifest is read-only")

    with pytest.raises(DestinationUnwritable):
        remove_old(tmp_path, Retention(max_age_s=1), now_s=NOW_S, removed=removed, stop=lambda: False)
    assert len(files(tmp_path)) == 2


def test_whoever_stops_does_not_wait_for_the_rest(tmp_path: Path) -> None:
    write(tmp_path, *(path_of("s3", hours) for hours in range(5)))
    told: list[Path] = []
    bound = Retention(max_bytes=1)
    gone = remove_old(tmp_path, bound, now_s=NOW_S, removed=told.append, stop=lambda: len(told) == 2)
    assert gone.objects == 2
    assert len(files(tmp_path)) == 3
