"""DATA/bin: the folder that `flowglass env` puts on PATH.

Rule: it holds links to this program and to the AWS CLI beside it, nothing else, so that no other program of their
folder (python, pip) comes before the user's own.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

from flowglass.app import awscli
from flowglass.app.private_file import private_folder
from flowglass.fields.errors import DestinationUnwritable

FOLDER: Final = "bin"


def path_folder(data_dir: Path) -> Path:
    """The folder, with mode 0700, its links as this installation needs them. Raises DestinationUnwritable."""
    folder = private_folder(data_dir / FOLDER)
    try:
        _link(folder / "flowglass", awscli.FOLDER / "flowglass")
        if awscli.beside():
            _link(folder / "aws", awscli.FOLDER / "aws")
        else:  # one of an installation that had it would hide the user's own
            (folder / "aws").unlink(missing_ok=True)
    except OSError as error:
        raise DestinationUnwritable(f"{error.filename}: {error.strerror}; check the folder {folder}") from None
    return folder


def _link(link: Path, target: Path) -> None:
    """Make a link, in one step in place of another one: a shell may be looking at it."""
    if link.is_symlink() and link.readlink() == target:
        return
    with tempfile.TemporaryDirectory(prefix=".link-", dir=link.parent) as aside:
        made = Path(aside) / link.name
        made.symlink_to(target)
        made.replace(link)
