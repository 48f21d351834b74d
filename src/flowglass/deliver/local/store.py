"""The local store: buckets, log groups and delivery streams as folders under DATA.

Rule: `s3/<bucket>/` holds objects only, in S3's layout, so every reader of it works; what else a bucket has is in
`buckets/<bucket>.json`, and a bucket is there if that file is. A settings file is replaced whole, under a lock, so
that the server and commands may change it at the same time.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from flowglass.deliver import policies
from flowglass.deliver.local.names import folder_name
from flowglass.deliver.sinks.directory import PARTIAL, DirectorySink
from flowglass.deliver.temp import TempFolder, destination_error, make_folders, sync
from flowglass.fields.buckets import bucket_fault
from flowglass.fields.errors import DestinationUnwritable, OptionError

ALGORITHMS: Final = ("AES256", "aws:kms", "aws:kms:dsse")
"""Of default encryption (https://docs.aws.amazon.com/AmazonS3/latest/API/API_ServerSideEncryptionByDefault.html)."""

S3, LOGS, FIREHOSE = "s3", "logs", "firehose"
"""Folders of buckets, log groups and delivery streams."""

FOLDERS: Final = (S3, LOGS, FIREHOSE)

_BUCKETS: Final = "buckets"
_NO_BUCKET: Final = "it does not exist; make it with `flowglass buckets create`"
_OWNER_ONLY: Final = 0o600


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket's settings. `created_ms`: since 1970; `policy`: its document.

    `encryption`: S3's ApplyServerSideEncryptionByDefault, which is checked as AWS checks it; the local store itself
    encrypts nothing.
    """

    name: str
    created_ms: int
    policy: Mapping[str, Any] | None = None
    encryption: Mapping[str, str] | None = None


_FileState = tuple[int, int, int]
"""Of a file of settings, which is not read again while it is the same: its inode, time of change [ns], and size."""


@dataclass(frozen=True, slots=True)
class BucketUsage:
    """A bucket in a list: how many objects it has, and their bytes."""

    name: str
    created_ms: int
    objects: int
    size_bytes: int


class LocalStore:
    """The store under `root`, which is DATA; folders are made when there is something to put into them.

    Every method raises DestinationUnwritable or DestinationFull where the disk refuses, and DestinationUnwritable for
    settings that are damaged. `min_free_bytes`: with less space on the disk its sinks take nothing.
    """

    def __init__(self, root: Path, min_free_bytes: int = 0) -> None:
        self.root = root
        self._min_free_bytes = min_free_bytes
        self._read: dict[str, tuple[_FileState, Bucket]] = {}

    def create_bucket(self, name: str, now_ms: int) -> None:
        """Make a bucket. Raises OptionError if the name breaks AWS's rules or is taken."""
        wrong = bucket_fault(name)
        if wrong:
            raise OptionError(f"bucket name {name!r}: {wrong}; choose another name")
        with self._locked():
            if self._settings_file(name).exists():
                raise OptionError(f"bucket {name} is there already; use it, or choose another name")
            folder = self._folder(S3, name)
            try:
                make_folders(folder)
            except OSError as error:
                raise destination_error(folder, error) from error
            self._save(Bucket(name, now_ms))

    def bucket(self, name: str) -> Bucket | None:
        """A bucket's settings, None if there is no such bucket."""
        if bucket_fault(name):
            return None
        path = self._settings_file(name)
        try:
            state = _file_state(path)
            known = self._read.get(name)
            if known is not None and known[0] == state:
                return known[1]
            text = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise destination_error(path, error) from error
        bucket = _bucket_of(name, text, path)
        self._read[name] = (state, bucket)
        return bucket

    def list_buckets(self) -> list[BucketUsage]:
        """Every bucket by name, its objects counted on the disk."""
        buckets = [self.bucket(path.stem) for path in sorted((self.root / _BUCKETS).glob("*.json"))]
        return [self._usage(bucket) for bucket in buckets if bucket]

    def change_bucket(self, name: str, change: Callable[[Bucket], Bucket]) -> None:
        """Replace a bucket's settings by what `change` makes of them, nobody else coming between.

        Raises OptionError if there is no such bucket, or its policy or encryption would be none.
        """
        with self._locked():
            bucket = self.bucket(name)
            if bucket is None:
                raise OptionError(f"bucket {name!r}: {_NO_BUCKET}")
            changed = change(bucket)
            if changed != bucket:
                wrong = _settings_fault(changed)
                if wrong:
                    raise OptionError(f"bucket {name}: {wrong}")
                self._save(changed)

    def put_policy(self, name: str, policy: Mapping[str, Any] | None) -> None:
        """Replace a bucket's policy, None for none; raises as `change_bucket`."""
        self.change_bucket(name, lambda bucket: replace(bucket, policy=policy))

    def put_encryption(self, name: str, encryption: Mapping[str, str] | None) -> None:
        """Replace a bucket's default encryption, None for none; raises as `change_bucket`."""
        self.change_bucket(name, lambda bucket: replace(bucket, encryption=encryption))

    def sink(self, bucket: str) -> DirectorySink:
        """Where a bucket's objects go; raises DestinationUnwritable if there is no such bucket."""
        if self.bucket(bucket) is None:
            raise DestinationUnwritable(f"bucket {bucket!r}: {_NO_BUCKET}")
        return self._sink(S3, bucket)

    def log_group(self, name: str) -> DirectorySink:
        """Where the files of a log group go, as `<stream>/<file>`; the group is made with the first one."""
        return self._sink(LOGS, folder_name(name))

    def delivery_stream(self, name: str) -> DirectorySink:
        """Where the files of a delivery stream go, as `<year>/<month>/<day>/<hour>/<file>`; made as a log group is."""
        return self._sink(FIREHOSE, folder_name(name))

    def replace_object(self, bucket: str, key: str, content: bytes) -> None:
        """Put a small object under a key without faults (`key_fault`), over one that is there; raises as `sink`."""
        root = self.sink(bucket).root
        _replace(root / key, TempFolder(root / PARTIAL), content)

    def clean(self) -> int:
        """Remove what killed processes left unfinished; return how many files that were."""
        kinds = (self.root / kind for kind in FOLDERS)
        folders = [self.root / _BUCKETS, *(folder for kind in kinds for folder in sorted(kind.glob("*")))]
        return sum(TempFolder(folder / PARTIAL).clean() for folder in folders)

    def _sink(self, kind: str, name: str) -> DirectorySink:
        return DirectorySink(self._folder(kind, name), self._min_free_bytes)

    def _folder(self, kind: str, name: str) -> Path:
        return self.root / kind / name

    def _settings_file(self, bucket: str) -> Path:
        return self.root / _BUCKETS / f"{bucket}.json"

    def _save(self, bucket: Bucket) -> None:
        settings = {"created_ms": bucket.created_ms, "policy": bucket.policy, "encryption": bucket.encryption}
        content = json.dumps(settings, indent=2).encode()
        temps = TempFolder(self.root / _BUCKETS / PARTIAL)
        _replace(self._settings_file(bucket.name), temps, content, mode=_OWNER_ONLY)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other processes and threads from changing settings."""
        folder = self.root / _BUCKETS
        try:
            make_folders(folder)
            descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _OWNER_ONLY)
        except OSError as error:
            raise destination_error(folder, error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _usage(self, bucket: Bucket) -> BucketUsage:
        folder = self._folder(S3, bucket.name)
        objects = size_bytes = 0
        for path in folder.rglob("*"):
            if path.parent.name == PARTIAL and path.parent.parent == folder:
                continue
            try:
                if path.is_file():
                    size_bytes += path.stat().st_size
                    objects += 1
            except FileNotFoundError:
                continue  # taken away meanwhile
        return BucketUsage(bucket.name, bucket.created_ms, objects, size_bytes)


def _replace(target: Path, temps: TempFolder, content: bytes, mode: int | None = None) -> None:
    """Give a file new content at once and durably. Raises DestinationUnwritable or DestinationFull."""
    temp = temps.open()
    try:
        temp.write(content)
        if mode is not None:
            temp.path.chmod(mode)
        sync(temp.path)
        make_folders(target.parent)
        temp.path.replace(target)
        sync(target.parent)
    except OSError as error:
        raise destination_error(target, error) from error
    finally:
        temp.close()


def _file_state(path: Path) -> _FileState:
    found = path.stat()
    return found.st_ino, found.st_mtime_ns, found.st_size


def _bucket_of(name: str, text: bytes, path: Path) -> Bucket:
    """The settings in a file; raises DestinationUnwritable if they are none."""
    try:
        settings = json.loads(text)
        bucket = Bucket(name, int(settings["created_ms"]), settings["policy"], settings["encryption"])
    except (ValueError, KeyError, TypeError) as error:
        wrong: str | None = f"no settings of a bucket ({error!r})"
    else:
        wrong = _settings_fault(bucket)
    if wrong:
        raise DestinationUnwritable(f"{path}: {wrong}; correct it, or remove it and make the bucket again")
    return bucket


def _settings_fault(bucket: Bucket) -> str | None:
    """What is wrong with a bucket's policy or encryption."""
    wrong = policies.fault(bucket.policy) if bucket.policy is not None else None
    if wrong:
        return f"no bucket policy: {wrong}"
    if bucket.encryption is not None and not _is_encryption(bucket.encryption):
        return f"no default encryption: it has SSEAlgorithm ({', '.join(ALGORITHMS)}) and perhaps KMSMasterKeyID"
    return None


def _is_encryption(settings: object) -> bool:
    return (
        isinstance(settings, dict)
        and settings.get("SSEAlgorithm") in ALGORITHMS
        and settings.keys() <= {"SSEAlgorithm", "KMSMasterKeyID"}
        and isinstance(settings.get("KMSMasterKeyID", ""), str)
    )
