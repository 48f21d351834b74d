"""A bucket as destination, at AWS or at any service that speaks S3.

Rule: an object is one PutObject, which is the only right that delivery needs, and it is create-only.
Create-only is `If-None-Match: *`. A service that does not know this header and ignores it cannot be told apart from
one that has no such object, and overwrites; use one that refuses (412), as AWS's does since 2024.
Sources: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html and
https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import IO, Any, Final

from flowglass.deliver.aws import BucketSettings, Service
from flowglass.deliver.aws_errors import status_of
from flowglass.deliver.temp import TempFile, TempFolder
from flowglass.fields.contracts import FinishedObject
from flowglass.fields.errors import DestinationUnreachable, DestinationUnwritable

CONTENT_TYPE: Final = "application/octet-stream"
"""Of AWS's own flow-log objects."""

_TAKEN: Final = 412


class S3Sink:
    """Delivers objects into a bucket. Threads may share it.

    `work`: the folder for unfinished objects; `client`: a client to use in place of one of its own.
    """

    def __init__(self, bucket: str, settings: BucketSettings, work: Path, client: Any = None) -> None:
        self._bucket = bucket
        self._options = put_options(settings)
        self._what = f"bucket {bucket}"
        self._temps = TempFolder(work)
        self._s3 = Service("s3", settings, made=client)

    def open_temp(self) -> TempFile:
        """A temporary file to build an object in. Raises DestinationUnwritable or DestinationFull."""
        return self._temps.open()

    def clean(self) -> int:
        """Remove unfinished objects of killed processes; return how many there were."""
        return self._temps.clean()

    def put(self, finished: FinishedObject) -> bool:
        """Put a finished object under its key; return False if the key is there already.

        The service checks the content against `finished.sha256`. An answer without an ETag, which every S3 gives, or
        with the checksum of something else comes from somewhere else, and nothing was put. Raises OptionError without
        botocore, and the classes under DeliveryError.
        """
        checksum = base64.b64encode(bytes.fromhex(finished.sha256)).decode()
        with _opened(finished.path) as body, self._s3.calling(self._what) as client:
            try:
                answer = client.put_object(
                    Bucket=self._bucket,
                    Key=finished.key,
                    Body=body,
                    ContentLength=finished.size_bytes,
                    ContentType=CONTENT_TYPE,
                    ChecksumSHA256=checksum,
                    IfNoneMatch="*",
                    **self._options,
                )
            except client.exceptions.ClientError as error:
                if status_of(error) == _TAKEN:
                    return False
                raise
        if not answer.get("ETag") or answer.get("ChecksumSHA256", checksum) != checksum:
            raise DestinationUnreachable(f"{self._s3.at(self._what)}: the answer is not one of S3; check the endpoint")
        return True


def put_options(settings: BucketSettings) -> dict[str, Any]:
    """Parameters of PutObject for the ACL and the encryption that are configured.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/specifying-kms-encryption.html
    """
    options: dict[str, Any] = {"ACL": settings.acl} if settings.acl else {}
    if settings.kms_key:
        options |= {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": settings.kms_key}
        if settings.bucket_key:
            options["BucketKeyEnabled"] = True
    return options


def _opened(path: str) -> IO[bytes]:
    try:
        return Path(path).open("rb")
    except OSError as error:
        raise DestinationUnwritable(
            f"{path}: {error.strerror}: a finished object cannot be read; restart, which builds it again"
        ) from error
