"""Delivered objects as they are now: those of the local store, and those of buckets.

Rule: nothing is changed; an object is read for its digest only where the service keeps none.
"""

from __future__ import annotations

import base64
import errno
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Protocol

from flowglass.deliver import manifest
from flowglass.deliver.aws import BucketSettings, Service
from flowglass.deliver.aws_errors import status_of
from flowglass.deliver.manifest import BUCKET
from flowglass.deliver.rules import DestinationRules
from flowglass.deliver.sinks.directory import PARTIAL
from flowglass.deliver.temp import destination_error
from flowglass.fields.errors import OptionError

_PIECE_BYTES: Final = 1 << 20
_NOT_FOUND: Final = 404
_NO_FILE: Final = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG)


class Objects(Protocol):
    """The objects of one place."""

    def keys(self, folder: str) -> Iterator[str]:
        """The keys below a folder, which ends in a slash; "" for all. Raises the classes under DeliveryError."""
        ...

    def sha256(self, key: str) -> str | None:
        """The hex digest of an object's bytes, None if it is not there; raises as `keys`."""
        ...


def objects_at(place: str, data: Path, rules: DestinationRules) -> Objects:
    """The objects of a place that a manifest names. Raises OptionError if no configuration tells where that is."""
    if place.startswith(manifest.LOCAL):
        return LocalObjects(data / place.removeprefix(manifest.LOCAL))
    bucket = place.removeprefix(BUCKET)
    if bucket not in rules.buckets:
        raise OptionError(f"{place}: objects were delivered there; set endpoint in [buckets.{bucket}] to look at them")
    return BucketObjects(bucket, rules.buckets[bucket])


class LocalObjects:
    """Objects of a bucket, group or stream of the local store, whose folder is `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def keys(self, folder: str) -> Iterator[str]:
        """Whatever is below a folder, links too, but what is unfinished. Raises DestinationUnwritable."""
        for top, folders, files in os.walk(self._root / folder, onerror=_unreadable):
            here = Path(top)
            if here == self._root and PARTIAL in folders:
                folders.remove(PARTIAL)
            links = (name for name in folders if (here / name).is_symlink())
            for name in (*files, *links):
                yield str((here / name).relative_to(self._root))

    def sha256(self, key: str) -> str | None:
        """The digest of a file, None if there is none. Raises DestinationUnwritable."""
        path = self._root / key
        try:
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            if error.errno in _NO_FILE:
                return None
            raise destination_error(path, error) from error


class BucketObjects:
    """Objects of a bucket of a service. `client`: a botocore client to use in place of one of its own."""

    def __init__(self, bucket: str, settings: BucketSettings, client: Any = None) -> None:
        self._bucket = bucket
        self._what = f"bucket {bucket}"
        self._service = Service("s3", settings, made=client)

    def keys(self, folder: str) -> Iterator[str]:
        """The keys below a folder; needs s3:ListBucket."""
        with self._service.calling(self._what) as s3:
            for page in s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=folder):
                yield from (found["Key"] for found in page.get("Contents", []))

    def sha256(self, key: str) -> str | None:
        """The digest that the service keeps of an object, else of its bytes; needs s3:GetObject."""
        with self._service.calling(self._what) as s3:
            try:
                head = s3.head_object(Bucket=self._bucket, Key=key, ChecksumMode="ENABLED")
            except s3.exceptions.ClientError as error:
                if status_of(error) == _NOT_FOUND:
                    return None
                raise
            kept: str = head.get("ChecksumSHA256", "")
            if kept and "-" not in kept:  # that would be one of parts
                return base64.b64decode(kept).hex()
            digest = hashlib.sha256()
            for piece in s3.get_object(Bucket=self._bucket, Key=key)["Body"].iter_chunks(_PIECE_BYTES):
                digest.update(piece)
            return digest.hexdigest()


def _unreadable(error: OSError) -> None:
    """A folder cannot be listed; one that is not there has nothing."""
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise destination_error(error.filename, error) from error
