"""Who this agent is: enrolled once with a one-time token, kept in DATA.

Rule: the agent's own key is readable by its owner alone and appears nowhere else.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from flowglass import __version__
from flowglass.app.agent.client import AgentKey, Client, ServerRefused, ServerUnreachable
from flowglass.app.private_file import write_private
from flowglass.fields.errors import OptionError

FILE: Final = "agent.json"
_REMEDY: Final = "flowglass keys token"


@dataclass(frozen=True, slots=True)
class Identity:
    """An enrolled agent."""

    agent: str
    server: str
    key_id: str
    secret: str = field(repr=False)

    @property
    def key(self) -> AgentKey:
        """What it signs with."""
        return AgentKey(self.key_id, self.secret)


def read_identity(data: Path) -> Identity | None:
    """The agent that DATA holds, None before it was enrolled. Raises OptionError where the file is damaged."""
    path = data / FILE
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return Identity(**kept)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise OptionError(f"{path}: cannot be read ({error}); remove it and enrol again with a new token") from None


def forget_identity(data: Path) -> None:
    """Be nobody again, so that the next start enrols. Raises OptionError where the file cannot be removed."""
    path = data / FILE
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise OptionError(f"{path}: {error.strerror}; remove it") from None


def enrol(data: Path, server: str, token: str, name: str, *, ca_file: str = "") -> Identity:
    """Register with the server and keep who we are. Raises OptionError where it refuses, ServerUnreachable."""
    key_id, dot, secret = token.strip().partition(".")
    if not dot or not key_id or not secret:
        raise OptionError("[agent] token: is <key>.<secret>, as `flowglass keys token` prints it on the server")
    client = Client(server, AgentKey(key_id, secret), ca_file=ca_file)
    try:
        answer = client.call("register", {"name": name, "version": __version__})
        identity = Identity(answer["agent"], server, answer["key_id"], answer["secret"])
    except ServerRefused as refused:
        # What the server says of a token that was used has the remedy already.
        remedy = "" if _REMEDY in str(refused) else f"; `{_REMEDY}` makes one"
        raise OptionError(f"{server} does not take the token: {refused}{remedy}") from None
    except KeyError:
        raise ServerUnreachable(f"{server}: the answer is not of this protocol") from None
    write_private(data / FILE, json.dumps(asdict(identity), indent=2).encode())
    return identity


def default_name() -> str:
    """The name of the host."""
    return os.uname().nodename or "agent"
