"""Credentials where AWS's ordinary chain finds them: in a file of profiles, and nowhere else.

Rule: a test mends credentials as people do, by writing the file again.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.servers import Key


def use(monkeypatch: pytest.MonkeyPatch, folder: Path, key: Key | None) -> None:
    """Have this process's clients find this key, or none."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    lines = ["[default]", f"aws_access_key_id = {key.id}", f"aws_secret_access_key = {key.secret}"] if key else []
    (folder / "credentials").write_text("\n".join([*lines, ""]))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(folder / "config"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
