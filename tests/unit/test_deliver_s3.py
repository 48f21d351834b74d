"""S3 by script: what is sent, and what each failure means."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.support import credentials
from tests.support.objects import finished
from tests.support.scripted import Answer, Scripted, s3_error, scripted
from tests.support.servers import Key

from flowglass.deliver import BucketSettings, aws, aws_errors
from flowglass.deliver.sinks.s3 import S3Sink
from flowglass.fields.errors import (
    DeliveryError,
    DestinationRefused,
    DestinationThrottled,
    DestinationUnreachable,
    DestinationUnwritable,
    Error,
    OptionError,
    RequestRefused,
)
from flowglass.fields.vocabulary import AWS

KEY_ARN = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
KEY = "AWSLogs/1/x.log.gz"
CONTENT = b"content"
TAKEN = Answer(headers={"ETag": '"9a0364b9e99bb480dd25e1f0284c8555"'})


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    credentials.use(monkeypatch, tmp_path, Key("KEYID", "very-secret"))


def sink(url: str, tmp_path: Path, **settings: Any) -> S3Sink:
    return S3Sink("team-logs", BucketSettings(endpoint=url, region="eu-west-1", **settings), tmp_path / "work")


def put(url: str, tmp_path: Path, **settings: Any) -> bool:
    return sink(url, tmp_path, **settings).put(finished(tmp_path, CONTENT, KEY))


def failure(answer: Answer, tmp_path: Path) -> DeliveryError:
    with scripted([answer]) as service, pytest.raises(DeliveryError) as caught:
        put(service.url, tmp_path)
    assert len(service.asked) == 1, "a failure is not tried again here"
    return caught.value


@pytest.fixture
def service() -> Iterator[Scripted]:
    with scripted([TAKEN]) as running:
        yield running


class TestRequest:
    """An object is one PutObject: create-only, with its checksum, the ACL, and the encryption that is set."""

    def test_the_whole_object_is_sent_in_one_request(self, service: Scripted, tmp_path: Path) -> None:
        assert put(service.url, tmp_path)
        (asked,) = service.asked
        assert (asked.method, asked.path, asked.body) == ("PUT", f"/team-logs/{KEY}", CONTENT)
        wanted = {
            "if-none-match": "*",
            "x-amz-checksum-sha256": base64.b64encode(hashlib.sha256(CONTENT).digest()).decode(),
            "content-length": str(len(CONTENT)),
            "content-type": "application/octet-stream",
            "x-amz-acl": "bucket-owner-full-control",
        }
        assert {name: asked.headers.get(name) for name in wanted} == wanted
        never = {"x-amz-trailer", "x-amz-server-side-encryption", "content-encoding", "x-amz-tagging"}
        assert not never & asked.headers.keys()

    def test_encryption_and_acl_are_as_configured(self, service: Scripted, tmp_path: Path) -> None:
        assert put(service.url, tmp_path, kms_key=KEY_ARN, bucket_key=True, acl="")
        headers = service.asked[0].headers
        assert headers["x-amz-server-side-encryption"] == "aws:kms"
        assert headers["x-amz-server-side-encryption-aws-kms-key-id"] == KEY_ARN
        assert headers["x-amz-server-side-encryption-bucket-key-enabled"].lower() == "true"
        assert "x-amz-acl" not in headers

    def test_buckets_are_addressed_as_configured(self, service: Scripted, tmp_path: Path) -> None:
        by_name = service.url.replace("127.0.0.1", "localhost")
        put(by_name, tmp_path, addressing="path")
        assert service.asked[-1].path == f"/team-logs/{KEY}"
        client = aws.client("s3", BucketSettings(endpoint=by_name, addressing="virtual"), region="eu-west-1")
        url = client.generate_presigned_url("put_object", Params={"Bucket": "team-logs", "Key": KEY})
        assert url.startswith(by_name.replace("localhost", "team-logs.localhost"))

    def test_settings_name_the_region_and_a_caller_where_they_do_not(self) -> None:
        for region, wanted in (("us-west-2", "us-west-2"), ("", "eu-west-1")):
            settings = BucketSettings(endpoint=AWS, region=region)
            assert aws.client("s3", settings, region="eu-west-1").meta.region_name == wanted

    def test_the_finished_file_stays_its_owners(self, service: Scripted, tmp_path: Path) -> None:
        object_ = finished(tmp_path, CONTENT, KEY)
        sink(service.url, tmp_path).put(object_)
        assert Path(object_.path).read_bytes() == CONTENT

    def test_a_key_that_is_there_is_told_and_no_error(self, tmp_path: Path) -> None:
        with scripted([s3_error(412, "PreconditionFailed")]) as service:
            assert not put(service.url, tmp_path)

    def test_temporary_files_are_in_the_work_folder_and_cleaned(self, tmp_path: Path) -> None:
        s3 = sink("http://127.0.0.1:1", tmp_path)
        temp = s3.open_temp()
        assert temp.path.parent == tmp_path / "work"
        temp.close()
        assert s3.clean() == 0


class TestFailures:
    """What a failure means: refused until somebody acts, throttled, or not reachable; in one line with a remedy."""

    @pytest.mark.parametrize(
        ("status", "code", "remedy"),
        [
            (403, "InvalidAccessKeyId", "check the access key"),
            (403, "SignatureDoesNotMatch", "check the secret key"),
            (400, "ExpiredToken", "renew the credentials"),
            (403, "RequestTimeTooSkewed", "set this machine's clock right"),
            (403, "AccessDenied", "allow PutObject there"),
            (403, "SomethingNew", "allow PutObject there"),
            (404, "NoSuchBucket", "make it, or correct its name"),
        ],
    )
    def test_refusals(self, tmp_path: Path, status: int, code: str, remedy: str) -> None:
        self.refused(DestinationRefused, tmp_path, status, code, remedy)

    @pytest.mark.parametrize(
        ("status", "code", "remedy"),
        [
            (400, "AccessControlListNotSupported", 'set acl = ""'),
            (400, "InvalidArgument", "correct what the service names"),
            (400, "KMS.DisabledException", "correct what the service names"),
            (501, "NotImplemented", "use a service that knows what is asked of it: create-only PutObject"),
            (501, "SomethingNew", "use a service that knows what is asked of it: create-only PutObject"),
        ],
    )
    def test_refusals_whoever_asks(self, tmp_path: Path, status: int, code: str, remedy: str) -> None:
        self.refused(RequestRefused, tmp_path, status, code, remedy)

    def refused(self, kind: type[DeliveryError], tmp_path: Path, status: int, code: str, remedy: str) -> None:
        error = failure(s3_error(status, code), tmp_path)
        assert type(error) is kind
        text = str(error)
        assert text.startswith("bucket team-logs at http://127.0.0.1:")
        assert f": {code}: told by a test; {remedy}" in text
        assert "very-secret" not in text

    @pytest.mark.parametrize(
        ("answer", "wait_s"),
        [
            (s3_error(503, "SlowDown"), None),
            (s3_error(503, "SlowDown", Retry_After="7"), 7.0),
            (s3_error(503, "ServiceUnavailable", Retry_After="7"), 7.0),
            (s3_error(429, "TooManyRequests"), None),
            (s3_error(400, "Throttling"), None),
            (s3_error(409, "ConditionalRequestConflict"), None),
            (s3_error(503, "SlowDown", Retry_After="999999999"), aws_errors.LONGEST_WAIT_S),
            (s3_error(503, "SlowDown", Retry_After="soon"), None),
        ],
    )
    def test_throttling(self, tmp_path: Path, answer: Answer, wait_s: float | None) -> None:
        error = failure(answer, tmp_path)
        assert type(error) is DestinationThrottled
        assert error.retry_after_s == wait_s

    @pytest.mark.parametrize(("later_s", "wait_s"), [(90, 90.0), (-90, 0.0)])
    def test_a_time_to_wait_for_is_taken_by_the_services_clock(self, later_s: int, wait_s: float) -> None:
        date, until = (formatdate(second, usegmt=True) for second in (1_000_000, 1_000_000 + later_s))
        metadata = {"HTTPStatusCode": 503, "HTTPHeaders": {"date": date, "retry-after": until}}
        error = ClientError({"Error": {"Code": "SlowDown"}, "ResponseMetadata": metadata}, "PutObject")
        assert aws_errors.delivery_error(error, "bucket x").retry_after_s == wait_s

    @pytest.mark.parametrize(
        "answer",
        [
            s3_error(500, "InternalError"),
            s3_error(503, "ServiceUnavailable"),
            s3_error(400, "RequestTimeout"),
            s3_error(400, "BadDigest"),
            Answer(502, b"<html><body>Bad gateway</body></html>"),
            Answer(hang_up=True),
            Answer(200, b"<", missing_bytes=10),
            Answer(500, b"<Error>", missing_bytes=10),
        ],
    )
    def test_failing_services(self, tmp_path: Path, answer: Answer) -> None:
        error = failure(answer, tmp_path)
        assert type(error) is DestinationUnreachable
        assert str(error).startswith("bucket team-logs at http://127.0.0.1:")
        assert str(error).endswith("; check the endpoint and the network; it is tried again")

    @pytest.mark.parametrize(
        "answer",
        [
            Answer(200, b"<html>Welcome</html>", {"Content-Type": "text/html"}),
            Answer(204),
            Answer(headers={**TAKEN.headers, "x-amz-checksum-sha256": base64.b64encode(bytes(32)).decode()}),
        ],
    )
    def test_success_of_what_is_no_s3_is_a_failure(self, tmp_path: Path, answer: Answer) -> None:
        error = failure(answer, tmp_path)
        assert type(error) is DestinationUnreachable
        assert str(error).startswith("bucket team-logs at http://127.0.0.1:")
        assert str(error).endswith(": the answer is not one of S3; check the endpoint")

    def test_a_page_of_a_proxy_is_one_short_line(self, tmp_path: Path) -> None:
        error = failure(Answer(403, b"<html>\n<h1>No</h1>\n" + b"x" * 5000 + b"</html>"), tmp_path)
        assert "\n" not in str(error)
        assert len(str(error)) < 600

    def test_an_answer_that_does_not_come_is_not_waited_for(self, tmp_path: Path) -> None:
        with scripted([Answer(wait_s=1.0)]) as service:
            settings = BucketSettings(endpoint=service.url)
            hasty = aws.client("s3", settings, region="eu-west-1", read_s=0.1)
            with pytest.raises(DestinationUnreachable, match="Read timeout"):
                S3Sink("team-logs", settings, tmp_path, hasty).put(finished(tmp_path, CONTENT, KEY))

    def test_nobody_there(self, tmp_path: Path) -> None:
        with pytest.raises(DestinationUnreachable, match=r"team-logs at .*: Could not connect"):
            put("http://127.0.0.1:1", tmp_path)

    @pytest.mark.parametrize("user", ["user:hunter2@", "user:hun/ter2@", "hunter2@", "a@hunter2@"])
    def test_no_error_has_a_secret_of_the_endpoint(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: str
    ) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://{user}127.0.0.1:1/?X-Amz-Security-Token=hunter2&b=hunter2")
        with pytest.raises(Error) as caught:
            put(AWS, tmp_path)
        assert "ter2" not in str(caught.value)
        assert "AWS_ENDPOINT_URL" in str(caught.value) or "http://***@127.0.0.1:1/" in str(caught.value)

    @pytest.mark.parametrize("message", ["see http://user:hunter2@h/a?b=hunter2, please", "see 'https://h?x=hunter2'"])
    def test_no_error_has_a_secret_that_the_service_repeats(self, tmp_path: Path, message: str) -> None:
        error = failure(s3_error(403, "AccessDenied", message), tmp_path)
        assert "see " in str(error)
        assert "hunter2" not in str(error)

    def test_the_endpoint_is_told_that_the_environment_sets(
        self, service: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        service.answers = [s3_error(403, "AccessDenied")]
        monkeypatch.setenv("AWS_ENDPOINT_URL", service.url)
        with pytest.raises(DestinationRefused) as caught:
            put(AWS, tmp_path)
        assert str(caught.value).startswith(f"bucket team-logs at {service.url}: ")

    @pytest.mark.parametrize(
        "url", ["notaurl", "user:hunter2@host", "http://[::1", "http://my_host:1", "http://h:99999"]
    )
    def test_an_endpoint_that_is_no_url_is_a_mistake_of_whoever_set_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
    ) -> None:
        with pytest.raises(OptionError, match=r"^endpoint in the configuration: is no URL"):
            put(url, tmp_path)
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        with pytest.raises(OptionError, match=r"^AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_S3, or .*: is no URL") as caught:
            put(AWS, tmp_path)
        assert "hunter2" not in str(caught.value)

    def test_no_credentials(self, service: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        credentials.use(monkeypatch, tmp_path, None)
        with pytest.raises(DestinationRefused, match="Unable to locate credentials; give this process credentials"):
            put(service.url, tmp_path)
        assert service.asked == []

    def test_no_such_profile(self, service: Scripted, tmp_path: Path) -> None:
        with pytest.raises(DestinationRefused, match=r"profile \(team\) could not be found"):
            put(service.url, tmp_path, profile="team")

    def test_a_finished_object_that_is_gone_is_no_fault_of_the_destination(
        self, service: Scripted, tmp_path: Path
    ) -> None:
        object_ = finished(tmp_path, CONTENT, KEY)
        Path(object_.path).unlink()
        with pytest.raises(DestinationUnwritable, match="a finished object cannot be read"):
            sink(service.url, tmp_path).put(object_)

    def test_credentials_are_read_again_after_a_refusal(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with scripted([s3_error(400, "ExpiredToken"), TAKEN]) as service:
            s3 = sink(service.url, tmp_path)
            with pytest.raises(DestinationRefused):
                s3.put(finished(tmp_path, CONTENT, KEY))
            credentials.use(monkeypatch, tmp_path, Key("RENEWED", "other"))
            assert s3.put(finished(tmp_path, CONTENT, KEY))
            keys = [asked.headers["authorization"].split("Credential=")[1].split("/")[0] for asked in service.asked]
            assert keys == ["KEYID", "RENEWED"]


def test_without_botocore_the_extra_is_named(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
sys.modules["botocore"] = None
from flowglass.deliver import BucketSettings
from flowglass.deliver.sinks.s3 import S3Sink
from flowglass.fields.contracts import FinishedObject
from flowglass.fields.errors import OptionError
file = Path(sys.argv[1]) / "x"
file.write_bytes(b"")
try:
    S3Sink("b", BucketSettings(endpoint="aws"), file.parent).put(FinishedObject(str(file), "k", "", 0, 0, 0))
except OptionError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.stdout == "delivery to s3 needs the extra `aws`: pip install 'flowglass[aws]'\n", done.stderr
