"""The spool as others see it: who may not look, and files that go meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.rights import as_nobody

from flowglass.deliver import Spool, SpoolView
from flowglass.fields.errors import DestinationUnwritable, StateError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    Spool.open(tmp_path / "spool", now_ms=lambda: 0).close()
    return tmp_path / "spool"


@pytest.mark.parametrize("closed", [".", "lock", "damaged"])
def test_a_user_who_may_not_look_is_told_what_to_do(root: Path, closed: str) -> None:
    with as_nobody(root / closed), pytest.raises(DestinationUnwritable) as refused:
        SpoolView.open(root)
    if closed == ".":
        assert str(refused.value) == f"{root}/journal.db: Permission denied; look as the user who runs the agent"


def test_nor_may_that_user_ask(root: Path) -> None:
    view = SpoolView.open(root)
    with as_nobody(root), pytest.raises(DestinationUnwritable, match="look as the user"):
        view.request("retry", now_ms=0)


def test_a_damaged_file_that_is_removed_meanwhile_is_not_there(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.arrow", "b.arrow"):
        (root / "damaged" / name).write_bytes(bytes(7))
    real = Path.iterdir

    def iterdir(folder: Path) -> Iterator[Path]:
        found = sorted(real(folder))
        found[0].unlink()
        return iter(found)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    view = SpoolView.open(root)
    assert (view.damaged, view.size_bytes) == ([root / "damaged" / "b.arrow"], 7)


def test_a_journal_whose_maker_was_killed_is_no_spool(tmp_path: Path) -> None:
    (tmp_path / "journal.db").touch()
    view = SpoolView.open(tmp_path)
    assert view == SpoolView(root=tmp_path)
    with pytest.raises(StateError, match="there is no spool"):
        view.request("retry", now_ms=0)


def test_a_spool_without_its_folder_of_damaged_files(root: Path) -> None:
    (root / "damaged").rmdir()
    assert SpoolView.open(root).damaged == []
