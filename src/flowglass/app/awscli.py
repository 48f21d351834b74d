"""The AWS CLI of this machine: where it is, how old it is, and a command line for it.

Rule: nothing of its command line is changed but for an endpoint in front, which a later one of the user's overrides.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from flowglass.app.profile import SERVICES

FOLDER: Final = Path(sys.executable).absolute().parent
"""The folder of this program and of what is installed beside it."""
INSTALL: Final = "there is no AWS CLI on this machine; install one: pip install awscli"
FIRST_WITH_ENDPOINTS: Final = {1: (1, 29, 0), 2: (2, 13, 0)}
"""The first versions that read AWS_ENDPOINT_URL_EC2 and sections of services, by major version.

https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html
"""
_VERSION: Final = re.compile(r"aws-cli/(\d+)\.(\d+)\.(\d+)")
_WITH_VALUE: Final = frozenset(
    {
        "--endpoint-url",
        "--output",
        "--query",
        "--profile",
        "--region",
        "--color",
        "--ca-bundle",
        "--cli-read-timeout",
        "--cli-connect-timeout",
        "--cli-binary-format",
        "--cli-error-format",
    }
)
"""Global options that take the next word as their value."""


def find() -> str | None:
    """The program `aws`, beside this one or on PATH, in the order in which `flowglass env` sets PATH."""
    return shutil.which("aws", path=f"{FOLDER}{os.pathsep}{os.environ.get('PATH', os.defpath)}")


def beside() -> bool:
    """Whether the AWS CLI is installed beside this program."""
    return shutil.which("aws", path=str(FOLDER)) is not None


def version(program: str) -> tuple[int, int, int] | None:
    """What `aws --version` says; None where it says nothing of that form within ten seconds."""
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=False)  # noqa: S603, found on PATH
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return None
    found = _VERSION.search(done.stdout) or _VERSION.search(done.stderr)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def is_old(number: tuple[int, int, int] | None) -> bool:
    """Whether a version cannot be pointed at a server by its environment; one that is not known is taken to be new."""
    return number is not None and number < FIRST_WITH_ENDPOINTS.get(number[0], number)


def service(arguments: Sequence[str]) -> str:
    """The service that a command line names, "" where it names none."""
    words = iter(arguments)
    for word in words:
        if not word.startswith("-"):
            return word
        if word in _WITH_VALUE:
            next(words, None)
    return ""


def command(program: str, arguments: Sequence[str], url: str) -> list[str]:
    """The command line to run; services that the server answers get its endpoint, which old versions need."""
    endpoint = ["--endpoint-url", url] if service(arguments) in SERVICES else []
    return [program, *endpoint, *arguments]
