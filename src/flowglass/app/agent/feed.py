"""The agent's inventory: read from its file, read again when that changes, and told to the server.

Rule: a file with a fault changes nothing: what was read before stays, and the fault is told once.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from flowglass.app.agent.client import Client, ServerUnreachable
from flowglass.control import MOST_BYTES
from flowglass.fields.errors import InventoryError
from flowglass.inventory import Resource, Snapshot, changes, digest, listing, load

_PART_BYTES: Final = MOST_BYTES // 4
_RELIST_S: Final = 60
"""How often what is valid now is listed anew: interfaces may have owners in turn."""


class InventoryFeed:
    """The inventory of `file`; "" for none, which is not an empty one: the server keeps what it was told before.

    `told`: takes a fault of the file.
    """

    def __init__(self, file: str, told: Callable[[str], None]) -> None:
        self.snapshot: Snapshot | None = None
        self._file = file
        self._told = told
        self._resources: list[Resource] = []
        self._digest = digest([])
        self._sent: tuple[str, list[Resource]] | None = None
        self._mark: tuple[int, int] | None = None
        self._listed_s = 0.0

    def refresh(self) -> bool:
        """Read the file if it changed; whether there is something new. The first reading raises InventoryError."""
        if not self._file:
            return False
        mark = self._stat()
        now_s = time.time()
        if mark == self._mark and now_s - self._listed_s < _RELIST_S:
            return False
        first, changed = self._mark is None, mark != self._mark
        self._mark, self._listed_s = mark, now_s
        try:
            if changed:
                self.snapshot = load(self._file)
            resources = listing(self._file, at_ns=time.time_ns())
        except InventoryError as error:
            if first:
                raise
            if changed:
                self._told(str(error))
            return False
        self._resources = resources
        new = digest(resources)
        found, self._digest = changed or new != self._digest, new
        return found

    def send(self, client: Client) -> None:
        """Tell the server what it does not know yet. Raises ServerUnreachable or ServerRefused."""
        if not self._file or (self._sent is not None and self._sent[0] == self._digest):
            return
        now, resources = self._digest, self._resources
        if self._sent is None:
            known = self._change(client, now, now, [], [])  # does it have this already, from before a restart?
        else:
            base, before = self._sent
            known = self._change(client, base, now, *changes(before, resources))
        if not known:
            self._send_all(client, now, resources)
        self._sent = now, resources

    def forget(self) -> None:
        """The server may have lost what it knew: ask again."""
        self._sent = None

    def _stat(self) -> tuple[int, int] | None:
        try:
            state = Path(self._file).stat()
        except OSError:
            return None
        return state.st_mtime_ns, state.st_size

    def _send_all(self, client: Client, now: str, resources: Sequence[Resource]) -> None:
        """The whole inventory, in parts if it is long; only the last part bears the digest of the whole."""
        parts = _parts(resources)
        base: str | None = None
        for number, part in enumerate(parts, 1):
            named = now if number == len(parts) else f"{now}:{number}"
            body: dict[str, Any] = {"digest": named, "base": base, "put": part}
            if client.call("inventory", body).get("accepted") is not True:
                raise ServerUnreachable("the server did not keep the inventory; it is sent again")
            base = named

    def _change(
        self,
        client: Client,
        base: str,
        now: str,
        put: Sequence[Resource],
        remove: Sequence[tuple[str, str]],
    ) -> bool:
        parts = _parts(put)
        if len(parts) > 1:
            return False
        body = {"digest": now, "base": base, "put": parts[0], "remove": [list(pair) for pair in remove]}
        return client.call("inventory", body).get("accepted") is True


def _parts(resources: Sequence[Resource]) -> list[list[dict[str, Any]]]:
    """The resources in bodies of bounded size, at least one."""
    parts: list[list[dict[str, Any]]] = [[]]
    size = 0
    for resource in resources:
        row = asdict(resource)
        length = len(json.dumps(row))
        if size + length > _PART_BYTES and parts[-1]:
            parts.append([])
            size = 0
        parts[-1].append(row)
        size += length
    return parts
