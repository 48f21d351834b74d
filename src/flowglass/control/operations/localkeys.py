"""Secrets of this installation, of which ids and page tokens are made.

Rule: the one place of the operations that draws a random number, once an installation and name; what is drawn is kept
in the store, so that all its servers make and accept the same, before and after a restart.
"""

from __future__ import annotations

import secrets
from functools import lru_cache
from typing import Final

from flowglass.control.store import Store, settings

ID_KEY: Final = "id-key"
"""Of ids of flow logs."""
PAGE_KEY: Final = "page-key"
"""Of page tokens."""


@lru_cache(maxsize=16)
def local_key(store: Store, name: str) -> bytes:
    """The 32 bytes of that name, made at the first use. Not for use within a transaction."""
    found = store.read(lambda connection: settings.get(connection, name))
    if found is None:
        found = store.write(lambda connection: settings.put_if_absent(connection, name, secrets.token_hex(32)))
    return bytes.fromhex(found)
