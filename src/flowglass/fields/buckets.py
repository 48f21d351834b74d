"""Which names a bucket can have.

Rule: AWS's rules for general purpose buckets, once for all that takes a name: ARNs, configuration, the local store.
Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
"""

from __future__ import annotations

import re
from typing import Final

_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ADDRESS: Final = re.compile(r"[0-9]+(?:\.[0-9]+){3}")
_PREFIXES: Final = ("xn--", "sthree-", "amzn-s3-demo-")
_SUFFIXES: Final = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")


def bucket_fault(name: str) -> str | None:
    """What is wrong with a bucket's name by AWS's rules for general purpose buckets, None if nothing is."""
    if not _BUCKET.fullmatch(name):
        return "it has 3 to 63 lowercase letters, digits, dots and hyphens, a letter or digit first and last"
    if ".." in name:
        return "no two dots stand together"
    if _ADDRESS.fullmatch(name):
        return "it is no IP address"
    for prefix in _PREFIXES:
        if name.startswith(prefix):
            return f"names that begin with {prefix} are reserved"
    for suffix in _SUFFIXES:
        if name.endswith(suffix):
            return f"names that end with {suffix} are reserved"
    return None
