"""What `--out` of `record` names: a folder that stands for a bucket, or a bucket and a folder in it.

Rule: a place that cannot be written to is refused before anything is read.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from flowglass.deliver import BucketSettings, DirectorySink, S3Sink, Sink, key_fault
from flowglass.fields.buckets import bucket_fault
from flowglass.fields.errors import OptionError
from flowglass.fields.vocabulary import AWS

_S3: Final = "s3"
_LAYOUT: Final = "AWSLogs"


@dataclass(frozen=True, slots=True)
class Out:
    """Where objects go: `prefix` is the folder in a bucket, "" for its top."""

    sink: Sink
    prefix: str = ""


@contextmanager
def opened(out: str) -> Iterator[Out]:
    """The place that `out` names: DIR or s3://BUCKET[/FOLDER]. Raises OptionError for anything else.

    A bucket is reached as AWS's own tools do it: credentials, Region and endpoint by AWS's ordinary chain.
    """
    if not out or "\0" in out:
        raise OptionError(f"--out {out!r}: name a folder, which stands for the bucket, or s3://BUCKET/FOLDER")
    if "://" not in out and not out.startswith(f"{_S3}:/"):
        yield Out(DirectorySink(out))
        return
    bucket, prefix = _bucket(out)
    with tempfile.TemporaryDirectory(prefix="flowglass-") as work:
        yield Out(S3Sink(bucket, BucketSettings(endpoint=AWS), work=Path(work)), prefix)


def _bucket(out: str) -> tuple[str, str]:
    """Bucket and folder of an S3 URL."""
    try:
        url = urlsplit(out)
    except ValueError:
        raise OptionError(f"--out {out}: is no URL; write s3://BUCKET/FOLDER") from None
    if url.scheme != _S3 or "://" not in out or url.query or url.fragment:
        raise OptionError(f"--out {out}: name a folder, or a bucket as s3://BUCKET/FOLDER")
    prefix = url.path.strip("/")
    wrong = bucket_fault(url.netloc)
    if wrong:
        raise OptionError(f"--out {out}: the bucket's name {url.netloc!r}: {wrong}")
    wrong = key_fault(prefix)
    if wrong:
        raise OptionError(f"--out {out}: the folder {prefix!r}: {wrong}")
    if _LAYOUT in prefix.split("/"):
        raise OptionError(f"--out {out}: {_LAYOUT} begins the layout below the folder; leave it out")
    return url.netloc, prefix
