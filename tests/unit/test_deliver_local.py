"""The local store and the checks of destinations on it."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.destinations import destinations

from flowglass.deliver import BucketSettings, LocalStore, ServiceSettings
from flowglass.deliver.local import names
from flowglass.deliver.local.store import Bucket
from flowglass.fields.buckets import bucket_fault
from flowglass.fields.contracts import Destination, DestinationFault, DestinationType, DestinationUse
from flowglass.fields.errors import DestinationUnwritable, OptionError

NOW_MS = 1_790_000_000_000
ACCOUNT = "123456789012"
KEY_ARN = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
DENY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::team-logs/*"}],
}
DENIED = "Access Denied for LogDestination: team-logs. Please check LogDestination permission"


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    store = LocalStore(tmp_path)
    store.create_bucket("team-logs", NOW_MS)
    return store


def bucket_use(folder: str = "", name: str = "team-logs", **more: Any) -> DestinationUse:
    return DestinationUse(Destination(DestinationType.S3, name, folder), ACCOUNT, "us-east-1", **more)


def service_use(kind: DestinationType, name: str) -> DestinationUse:
    return DestinationUse(Destination(kind, name, account=ACCOUNT, region="eu-west-1"), ACCOUNT, "us-east-1")


def message(fault: DestinationFault | None, code: str = "400") -> str:
    assert fault is not None
    assert fault.code == code
    return fault.message


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


class TestNames:
    """Names from outside as folders: none leads out, no two share one, and buckets are named as AWS has it."""

    @pytest.mark.parametrize("name", ["abc", "a.b-c.1", "0" * 63, "1.2.3", "1.2.3.4.5"])
    def test_names_that_aws_takes(self, name: str) -> None:
        assert bucket_fault(name) is None

    @pytest.mark.parametrize(
        "name",
        [
            *(
                "",
                "ab",
                "a" * 64,
                "Abc",
                "a_b",
                "-ab",
                "ab.",
                "a/b",
                "a..b",
                "192.168.5.4",
                "abc\n",
                "äbc",
                "..",
                "../x",
            ),
            *("xn--abc", "sthree-abc", "sthree-configurator-a", "amzn-s3-demo-bucket"),
            *("abc-s3alias", "abc--ol-s3", "abc.mrap", "abc--x-s3", "abc--table-s3"),
        ],
    )
    def test_names_that_aws_refuses(self, name: str) -> None:
        assert bucket_fault(name)

    def test_names_of_folders_are_readable(self) -> None:
        assert names.folder_name("/aws/vpc/Flow_Logs-1.#2") == "%2Faws%2Fvpc%2FFlow_Logs-1.#2"
        assert names.folder_name("..") == "%2E."
        assert names.folder_name(".partial") == "%2Epartial"

    @given(st.text(max_size=400), st.text(max_size=400))
    def test_every_name_is_one_folder_of_its_own(self, one: str, other: str) -> None:
        folders = names.folder_name(one), names.folder_name(other)
        for folder in folders:
            assert 0 < len(folder.encode()) <= 255
            assert not folder.startswith(".")
            assert not set(folder) & set("/\0~") or folder[-34:-32] == "%~"
        assert (folders[0] == folders[1]) == (one == other)

    def test_long_names_that_begin_alike_do_not_meet(self) -> None:
        long = "/" * 512
        assert names.folder_name(long) != names.folder_name(long + "a")

    @given(st.text("./~%a\\\0", max_size=12))
    def test_a_key_without_fault_stays_in_its_folder(self, key: str) -> None:
        if names.key_fault(key) is None:
            assert os.path.normpath("/store/s3/b/" + key) == ("/store/s3/b/" + key).rstrip("/")

    @pytest.mark.parametrize(
        "key",
        [
            *("..", "a/../b", "/a", "a//b", "./a", ".partial/a", "a*", "a?", "${a}", "a\0b", "a" * 256, "é" * 128),
            "/".join(["a" * 200] * 6),
        ],
    )
    def test_keys_that_cannot_be_kept_are_refused(self, key: str) -> None:
        assert names.key_fault(key)


class TestBuckets:
    """Buckets and their settings."""

    def test_a_new_bucket_is_there_and_empty(self, store: LocalStore) -> None:
        assert store.bucket("team-logs") == Bucket("team-logs", NOW_MS)
        assert [(b.name, b.created_ms, b.objects, b.size_bytes) for b in store.list_buckets()] == [
            ("team-logs", NOW_MS, 0, 0)
        ]
        assert (store.root / "s3" / "team-logs").is_dir()

    def test_another_store_on_the_same_data_has_it_too(self, store: LocalStore) -> None:
        store.put_policy("team-logs", DENY)
        store.put_encryption("team-logs", {"SSEAlgorithm": "AES256"})
        again = LocalStore(store.root).bucket("team-logs")
        assert again == Bucket("team-logs", NOW_MS, DENY, {"SSEAlgorithm": "AES256"})

    def test_settings_are_for_the_owner_only_and_beside_the_objects(self, store: LocalStore) -> None:
        store.put_policy("team-logs", DENY)
        path = store.root / "buckets" / "team-logs.json"
        assert path.stat().st_mode & 0o777 == 0o600
        assert files(store.root / "s3") == []
        assert files(store.root / "buckets") == [".lock", "team-logs.json"]

    def test_objects_are_counted_and_unfinished_ones_not(self, store: LocalStore) -> None:
        store.create_bucket("another", NOW_MS + 1)
        store.replace_object("team-logs", "a/b.txt", b"12345")
        store.replace_object("team-logs", "c", b"67")
        temp = store.sink("team-logs").open_temp()
        temp.write(b"unfinished")
        assert [(b.name, b.objects, b.size_bytes) for b in store.list_buckets()] == [
            ("another", 0, 0),
            ("team-logs", 2, 7),
        ]
        temp.close()

    def test_a_bucket_is_made_once(self, store: LocalStore) -> None:
        store.put_policy("team-logs", DENY)
        with pytest.raises(OptionError, match="bucket team-logs is there already"):
            store.create_bucket("team-logs", NOW_MS)
        found = store.bucket("team-logs")
        assert found is not None
        assert found.policy == DENY

    @pytest.mark.parametrize("name", ["Team", "../team", "a/b", ""])
    def test_a_name_that_is_none_makes_nothing(self, tmp_path: Path, name: str) -> None:
        store = LocalStore(tmp_path)
        with pytest.raises(OptionError, match="choose another name"):
            store.create_bucket(name, NOW_MS)
        assert list(tmp_path.iterdir()) == []
        assert store.bucket(name) is None

    def test_a_bucket_that_is_not_there_is_told(self, tmp_path: Path) -> None:
        store = LocalStore(tmp_path)
        assert store.list_buckets() == []
        assert store.bucket("missing") is None
        with pytest.raises(OptionError, match="'missing': it does not exist; make it with `flowglass buckets create`"):
            store.put_policy("missing", None)
        with pytest.raises(DestinationUnwritable, match="does not exist"):
            store.sink("missing")
        with pytest.raises(DestinationUnwritable, match="does not exist"):
            store.sink("../missing")

    def test_what_is_no_policy_or_encryption_is_refused(self, store: LocalStore) -> None:
        with pytest.raises(OptionError, match="bucket team-logs: no bucket policy: it has no Statement"):
            store.put_policy("team-logs", {"Version": "2012-10-17"})
        with pytest.raises(OptionError, match=r"no default encryption: it has SSEAlgorithm \(AES256, aws:kms"):
            store.put_encryption("team-logs", {"SSEAlgorithm": "rot13"})
        assert store.bucket("team-logs") == Bucket("team-logs", NOW_MS)

    @pytest.mark.parametrize(
        "text",
        [
            b"",
            b"[]",
            b"{}",
            b"\xff",
            b'{"created_ms": "x", "policy": null, "encryption": null}',
            b'{"created_ms": 1, "policy": {"Statement": 7}, "encryption": null}',
            b'{"created_ms": 1, "policy": null, "encryption": []}',
        ],
    )
    def test_damaged_settings_are_told_with_their_file(self, store: LocalStore, text: bytes) -> None:
        path = store.root / "buckets" / "team-logs.json"
        path.write_bytes(text)
        with pytest.raises(DestinationUnwritable, match="correct it, or remove it") as caught:
            store.list_buckets()
        assert str(caught.value).startswith(str(path))
        assert "undeliverable" in message(destinations(store).check(bucket_use()))

    def test_changes_of_several_processes_do_not_get_lost(self, store: LocalStore) -> None:
        with multiprocessing.get_context("spawn").Pool(2) as pool:
            pool.starmap(_prepare, [(str(store.root), f"folder-{number}") for number in range(12)])
        found = store.bucket("team-logs")
        assert found is not None
        assert found.policy is not None
        resources = {statement["Resource"] for statement in found.policy["Statement"]}
        expected = {f"arn:aws:s3:::team-logs/folder-{number}/AWSLogs/{ACCOUNT}/*" for number in range(12)}
        assert resources == {*expected, "arn:aws:s3:::team-logs"}

    def test_clean_removes_what_a_killed_process_left_anywhere(self, store: LocalStore) -> None:
        program = (
            "import os, sys; from pathlib import Path; from flowglass.deliver import LocalStore; "
            "s = LocalStore(Path(sys.argv[1])); "
            "sinks = s.sink('team-logs'), s.log_group('/a'), s.delivery_stream('b'); "
            "kept = [sink.open_temp() for sink in sinks]; "
            "os.kill(os.getpid(), 9)"
        )
        died = subprocess.run([sys.executable, "-c", program, str(store.root)], check=False)
        assert died.returncode == -9
        assert store.clean() == 3
        assert files(store.root) == ["buckets/.lock", "buckets/team-logs.json"]
        assert store.clean() == 0


def _prepare(root: str, folder: str) -> None:
    assert destinations(LocalStore(Path(root))).prepare(bucket_use(folder)) is None


class TestChecks:
    """Destinations are checked in AWS's words, and nothing changes by a check."""

    def test_a_plain_bucket_passes_and_stays_as_it_is(self, store: LocalStore) -> None:
        assert destinations(store).check(bucket_use("flows")) is None
        assert store.bucket("team-logs") == Bucket("team-logs", NOW_MS)

    def test_a_bucket_that_is_not_there(self, store: LocalStore) -> None:
        for name in ("missing", "No_Bucket", ".."):
            assert (
                message(destinations(store).check(bucket_use(name=name))) == f"LogDestination: {name} does not exist."
            )

    @pytest.mark.parametrize("folder", ["../other", "a//b", ".", "a/*"])
    def test_a_folder_that_cannot_be_kept(self, store: LocalStore, folder: str) -> None:
        text = message(destinations(store).check(bucket_use(folder)))
        assert text.startswith(f"LogDestination team-logs is undeliverable: the folder {folder!r}: ")
        assert message(destinations(store).prepare(bucket_use(folder))) == text

    def test_a_policy_that_denies(self, store: LocalStore) -> None:
        store.put_policy("team-logs", DENY)
        assert message(destinations(store).check(bucket_use())) == DENIED
        assert message(destinations(store).prepare(bucket_use())) == DENIED

    @pytest.mark.parametrize(
        "encryption",
        [
            {"SSEAlgorithm": "aws:kms"},
            {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "1234abcd-12ab-34cd-56ef-1234567890ab"},
            {"SSEAlgorithm": "aws:kms:dsse", "KMSMasterKeyID": "alias/mine"},
            {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "arn:aws:kms:us-east-1:123456789012:alias/aws/s3"},
        ],
    )
    def test_a_key_that_nobody_could_read_with(self, store: LocalStore, encryption: dict[str, str]) -> None:
        store.put_encryption("team-logs", encryption)
        assert message(destinations(store).check(bucket_use())) == "LogDestination team-logs is undeliverable"

    @pytest.mark.parametrize(
        "encryption", [{"SSEAlgorithm": "AES256"}, {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY_ARN}]
    )
    def test_a_key_that_one_can_read_with(self, store: LocalStore, encryption: dict[str, str]) -> None:
        store.put_encryption("team-logs", encryption)
        assert destinations(store).check(bucket_use()) is None

    @pytest.mark.parametrize("kind", [DestinationType.CLOUD_WATCH_LOGS, DestinationType.FIREHOSE])
    def test_a_log_group_or_delivery_stream_need_not_exist(self, store: LocalStore, kind: DestinationType) -> None:
        use = service_use(kind, "/vpc/flow")
        assert destinations(store).check(use) is None
        assert destinations(store).prepare(use) is None
        assert not (store.root / "logs").exists()
        assert not (store.root / "firehose").exists()


class TestRules:
    """Only what the operator allows is used, and a real endpoint is refused in words that say so."""

    @pytest.mark.parametrize(
        ("use", "arn"),
        [
            (bucket_use(), "arn:aws:s3:::team-logs"),
            (bucket_use("a/b/"), "arn:aws:s3:::team-logs/a/b"),
            (
                service_use(DestinationType.CLOUD_WATCH_LOGS, "/vpc/flow"),
                f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:/vpc/flow",
            ),
            (
                service_use(DestinationType.FIREHOSE, "stream"),
                f"arn:aws:firehose:eu-west-1:{ACCOUNT}:deliverystream/stream",
            ),
        ],
    )
    def test_what_no_entry_names_is_refused_with_the_entry_it_needs(
        self, store: LocalStore, use: DestinationUse, arn: str
    ) -> None:
        text = message(destinations(store, allow=("arn:aws:s3:::team", "x*")).check(use))
        assert text == (
            f"Access Denied for LogDestination: {use.destination.name}. Please check LogDestination permission: "
            f'the operator\'s configuration does not allow it; add "{arn}" to [destinations] allow'
        )
        assert destinations(store, allow=(arn,)).check(use) is None
        assert destinations(store, allow=(arn[:-2] + "*",)).check(use) is None
        assert destinations(store, allow=("x", "local")).check(use) is None

    def test_a_log_groups_arn_may_end_as_aws_shows_it(self, store: LocalStore) -> None:
        use = service_use(DestinationType.CLOUD_WATCH_LOGS, "/vpc/flow")
        arn = f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:/vpc/flow:*"
        assert destinations(store, allow=(arn,)).check(use) is None

    def test_an_entry_of_a_bucket_allows_its_folders_and_one_of_a_folder_only_that(self, store: LocalStore) -> None:
        of_bucket = destinations(store, allow=("arn:aws:s3:::team-logs",))
        of_folder = destinations(store, allow=("arn:aws:s3:::team-logs/a",))
        assert of_bucket.check(bucket_use("a")) is None
        assert of_folder.check(bucket_use("a")) is None
        assert "does not allow it" in message(of_folder.check(bucket_use("b")))
        assert "does not allow it" in message(of_folder.check(bucket_use()))

    @pytest.mark.parametrize(
        ("use", "rules"),
        [
            (bucket_use(), {"buckets": {"team-logs": BucketSettings(endpoint="https://s3.example")}}),
            (service_use(DestinationType.CLOUD_WATCH_LOGS, "g"), {"cloudwatch_logs": ServiceSettings(endpoint="aws")}),
            (service_use(DestinationType.FIREHOSE, "s"), {"firehose": ServiceSettings(endpoint="aws")}),
        ],
    )
    def test_what_a_real_service_has_is_not_local(
        self, store: LocalStore, use: DestinationUse, rules: dict[str, Any]
    ) -> None:
        assert "does not allow it" in message(destinations(store, allow=("local",), **rules).check(use))
        assert "does not allow it" in message(destinations(store, allow=("local",), **rules).prepare(use))

    def test_arns_are_of_the_partition(self, store: LocalStore) -> None:
        assert destinations(store, partition="aws-cn", allow=("arn:aws-cn:*",)).check(bucket_use()) is None


class TestPreparation:
    """A bucket's policy gets what log delivery needs, once."""

    def test_statements_are_added_beside_others_and_not_again(self, store: LocalStore) -> None:
        own = {
            "Effect": "Allow",
            "Principal": {"AWS": "1"},
            "Action": "s3:Get*",
            "Resource": "arn:aws:s3:::team-logs/*",
        }
        store.put_policy("team-logs", {"Version": "2012-10-17", "Statement": own})
        for _ in range(2):
            assert destinations(store).prepare(bucket_use("flows", hive=True)) is None
            found = store.bucket("team-logs")
            assert found is not None
            assert found.policy is not None
            assert found.policy["Statement"][0] == own
            assert [one.get("Resource") for one in found.policy["Statement"][1:]] == [
                f"arn:aws:s3:::team-logs/flows/AWSLogs/aws-account-id={ACCOUNT}/*",
                "arn:aws:s3:::team-logs",
            ]
            assert json.loads((store.root / "buckets/team-logs.json").read_bytes())["policy"] == found.policy

    def test_a_policy_that_gets_too_long_is_found_by_the_check_and_stays(self, store: LocalStore) -> None:
        number = 0
        while destinations(store).check(bucket_use(f"folder-{number}")) is None:
            assert destinations(store).prepare(bucket_use(f"folder-{number}")) is None
            number += 1
        before = store.bucket("team-logs")
        text = message(
            destinations(store).prepare(bucket_use(f"folder-{number}")), "LogDestinationPermissionIssueException"
        )
        assert "arn:aws:s3:::team-logs/*" in text
        assert store.bucket("team-logs") == before
        assert 20 < number < 60


class TestWriting:
    """Small files beside the objects."""

    def test_a_file_is_put_and_replaced(self, store: LocalStore) -> None:
        to = Destination(DestinationType.S3, "team-logs", "templates/")
        for content in (b"first", b"second"):
            assert destinations(store).write(to, "Wed Jul 21 2021.yml", content) is None
            assert (store.root / "s3/team-logs/templates/Wed Jul 21 2021.yml").read_bytes() == content
        assert destinations(store).write(Destination(DestinationType.S3, "team-logs"), "top.yml", b"") is None
        store.clean()
        assert files(store.root / "s3") == ["team-logs/templates/Wed Jul 21 2021.yml", "team-logs/top.yml"]

    @pytest.mark.parametrize("name", ["", "../x", "a/b", "..", "x\0", "n" * 256])
    def test_a_name_that_is_no_file_is_refused(self, store: LocalStore, name: str) -> None:
        to = Destination(DestinationType.S3, "team-logs", "templates")
        assert "is undeliverable: the key" in message(destinations(store).write(to, name, b"x"))
        assert files(store.root / "s3") == []

    def test_rules_and_missing_buckets_are_as_for_flow_logs(self, store: LocalStore) -> None:
        to = Destination(DestinationType.S3, "missing")
        assert message(destinations(store).write(to, "x", b"")) == "LogDestination: missing does not exist."
        assert "does not allow it" in message(destinations(store, allow=()).write(to, "x", b""))
        group = Destination(DestinationType.CLOUD_WATCH_LOGS, "g", account="1", region="r")
        assert "is no bucket" in message(destinations(store).write(group, "x", b""))

    def test_a_file_in_the_way_of_a_folder_is_told(self, store: LocalStore) -> None:
        assert destinations(store).write(Destination(DestinationType.S3, "team-logs"), "a", b"") is None
        text = message(destinations(store).write(Destination(DestinationType.S3, "team-logs", "a"), "b", b""))
        assert "Not a directory" in text


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[LocalStore]:
    LocalStore(tmp_path / "in").create_bucket("team-logs", NOW_MS)
    (tmp_path / "ro").mkdir()
    for command in (["mount", "--bind", "in", "ro"], ["mount", "-o", "remount,bind,ro", "ro"]):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"mount is refused here: {done.stderr.strip()}")
    yield LocalStore(tmp_path / "ro")
    subprocess.run(["umount", str(tmp_path / "ro")], check=True)


def test_a_disk_that_refuses_is_an_answer_and_no_crash(read_only: LocalStore) -> None:
    assert destinations(read_only).check(bucket_use()) is None
    assert "Read-only file system" in message(destinations(read_only).prepare(bucket_use()))
    to = Destination(DestinationType.S3, "team-logs")
    assert "Read-only file system" in message(destinations(read_only).write(to, "x", b""))
