"""Names from outside as names of folders and files: which keys can be kept, and what is encoded.

Rule: two names never share a folder, and no name leads out of the folder it belongs in.
"""

from __future__ import annotations

import hashlib
from typing import Final
from urllib.parse import quote

from flowglass.deliver.sinks.directory import PARTIAL

LONGEST_BYTES: Final = 255
"""Of a file's name on Linux's file systems (NAME_MAX)."""

LONGEST_KEY_BYTES: Final = 1024
"""Of a key (https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html)."""

_SPARED: Final = "_.#-"
_DIGEST_CHARACTERS: Final = 32


def key_fault(key: str) -> str | None:
    """What keeps a folder or key of a bucket from being kept as folders and files; "" is the bucket's top.

    S3 takes any text as key. `*`, `?` and `${` are refused too, because a bucket policy would read them as patterns.
    """
    if not key:
        return None
    parts = key.split("/")
    if any(part in ("", ".", "..") for part in parts) or parts[0] == PARTIAL:
        return f"no part of it may be empty, '.' or '..', nor the first one {PARTIAL}"
    if any(character in key for character in ("*", "?", "${", "\0")):
        return "it may not hold *, ?, ${ or a zero byte"
    if any(len(part.encode(errors="surrogatepass")) > LONGEST_BYTES for part in parts):
        return f"a part of it is longer than {LONGEST_BYTES} bytes"
    if len(key.encode(errors="surrogatepass")) > LONGEST_KEY_BYTES:
        return f"it is longer than {LONGEST_KEY_BYTES} bytes"
    return None


def folder_name(name: str) -> str:
    """One folder's name for any text, such as a log group's: percent-encoded but letters, digits and `_.#-`.

    A dot at the start is encoded too, so `.`, `..` and the folder of unfinished files are no one's name. A name that
    gets too long for a file system is cut and ends in `%` and its SHA-256, which no encoding has: `%` precedes a
    digit or an upper-case letter there.
    """
    encoded = quote(name, safe=_SPARED, errors="surrogatepass").replace("~", "%7E")
    if encoded.startswith("."):
        encoded = "%2E" + encoded[1:]
    if len(encoded) <= LONGEST_BYTES:
        return encoded or "%"
    digest = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:_DIGEST_CHARACTERS]
    return f"{encoded[: LONGEST_BYTES - _DIGEST_CHARACTERS - 2]}%~{digest}"
