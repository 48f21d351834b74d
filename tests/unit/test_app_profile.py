"""The AWS profile of a server, read by botocore itself; DATA and whom it is open to; the AWS CLI's command line."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from botocore.session import Session

from flowglass.app import awscli, profile
from flowglass.data_dir import data_dir, make_data_dir
from flowglass.fields.errors import ConfigError, DestinationUnwritable

KEY, SECRET, URL = "FGAK234567ABCDEFGH", "s+/e=cr%et-_ value", "http://127.0.0.1:8780"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    """botocore in the environment of a profile, whatever was exported before."""
    for name in profile.UNSET:
        monkeypatch.setenv(name, "eu-elsewhere-1")
    profile.write(tmp_path, KEY, SECRET, "eu-west-1", URL)
    found = profile.needed_profile(tmp_path)
    for name, value in profile.variables(tmp_path, found).items():
        monkeypatch.setenv(name, value)
    for name in profile.UNSET:
        monkeypatch.delenv(name)
    return Session()


class TestProfile:
    def test_botocore_takes_key_region_and_endpoints_from_it(self, session: Session) -> None:
        credentials = session.get_credentials().get_frozen_credentials()
        assert (credentials.access_key, credentials.secret_key, credentials.token) == (KEY, SECRET, None)
        for service in profile.SERVICES:
            client = session.create_client(service)
            assert (client.meta.endpoint_url, client.meta.region_name) == (URL, "eu-west-1")

    def test_the_files_alone_point_at_the_server(self, session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
        for service in profile.SERVICES:
            monkeypatch.delenv(f"AWS_ENDPOINT_URL_{service.upper()}")
            assert session.create_client(service).meta.endpoint_url == URL

    def test_other_services_are_not_pointed_at_the_server(self, session: Session) -> None:
        assert session.create_client("s3").meta.endpoint_url != URL

    def test_it_is_read_back_without_its_secret(self, tmp_path: Path) -> None:
        assert profile.profile(tmp_path) is None
        profile.write(tmp_path, KEY, SECRET, "eu-west-1", "https://[::1]:8780", ca_bundle="/ca.pem")
        assert profile.profile(tmp_path) == (KEY, "eu-west-1", "https://[::1]:8780", "/ca.pem")
        found = profile.needed_profile(tmp_path)
        assert profile.variables(tmp_path, found)["AWS_CA_BUNDLE"] == "/ca.pem"

    def test_another_key_leaves_the_rest(self, tmp_path: Path) -> None:
        profile.write(tmp_path, KEY, SECRET, "eu-west-1", URL, ca_bundle="/ca.pem")
        profile.write_key(tmp_path, "FGAKOTHER", "other")
        assert profile.profile(tmp_path) == ("FGAKOTHER", "eu-west-1", URL, "/ca.pem")

    def test_only_the_owner_may_read_it(self, tmp_path: Path) -> None:
        before = os.umask(0)
        try:
            profile.write(tmp_path, KEY, SECRET, "eu-west-1", URL)
        finally:
            os.umask(before)
        assert mode(tmp_path / "aws") == 0o700
        assert sorted((path.name, mode(path)) for path in (tmp_path / "aws").iterdir()) == [
            ("config", 0o600),
            ("credentials", 0o600),
        ]

    def test_one_that_is_missing_or_of_another_form_is_one_clear_line(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"no server was started here; start it first: flowglass up$"):
            profile.needed_profile(tmp_path)
        profile.write(tmp_path, KEY, SECRET, "eu-west-1", URL)
        for name, content in (("config", b"[profile flowglass]\n"), ("credentials", b"\xff"), ("config", b"x")):
            profile.config_file(tmp_path).with_name(name).write_bytes(content)
            with pytest.raises(ConfigError, match=r"aws: no profile as `flowglass up` writes it"):
                profile.profile(tmp_path)

    def test_a_folder_that_cannot_be_made_is_one_clear_line(self, tmp_path: Path) -> None:
        (tmp_path / "aws").touch()
        with pytest.raises(DestinationUnwritable, match="choose a folder"):
            profile.write(tmp_path, KEY, SECRET, "eu-west-1", URL)


class TestDataDir:
    def test_the_option_wins_over_the_variable_over_the_platforms(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FLOWGLASS_DATA_DIR", "/one")
        assert (data_dir("/two"), data_dir()) == (Path("/two"), Path("/one"))
        monkeypatch.delenv("FLOWGLASS_DATA_DIR")
        monkeypatch.setenv("XDG_DATA_HOME", "/share")
        assert data_dir() == Path("/share/flowglass")
        monkeypatch.delenv("XDG_DATA_HOME")
        monkeypatch.setenv("HOME", "/home/me")
        assert data_dir() == Path("/home/me/.local/share/flowglass")

    def test_it_is_made_for_its_owner_alone(self, tmp_path: Path) -> None:
        make_data_dir(tmp_path / "a" / "b")
        assert mode(tmp_path / "a" / "b") == 0o700

    @pytest.mark.parametrize("inside", [[], ["cache"]])
    def test_an_open_one_without_secrets_is_closed(self, tmp_path: Path, inside: list[str]) -> None:
        for name in inside:
            (tmp_path / name).mkdir()
        tmp_path.chmod(0o755)
        make_data_dir(tmp_path)
        assert mode(tmp_path) == 0o700

    def test_an_open_one_with_something_in_it_is_left_to_its_owner(self, tmp_path: Path) -> None:
        (tmp_path / "index.html").touch()
        tmp_path.chmod(0o755)
        with pytest.raises(ConfigError, match=f"others may look into it; run chmod 700 {tmp_path}, or name another"):
            make_data_dir(tmp_path)
        assert mode(tmp_path) == 0o755

    def test_one_that_cannot_be_made_is_one_clear_line(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        for folder in (tmp_path / "file", tmp_path / "file" / "below", Path("/dev/null/flowglass")):
            with pytest.raises(ConfigError, match=r"name a folder for data with --data-dir or FLOWGLASS_DATA_DIR$"):
                make_data_dir(folder)


class TestAwsCli:
    @pytest.mark.parametrize(
        ("said", "old"),
        [
            ("aws-cli/1.28.9 Python/3.11", True),
            ("aws-cli/1.29.0 Python/3.11", False),
            ("aws-cli/2.9.19 Python/3.11.2 Linux/6.1", True),
            ("aws-cli/2.13.0 Python/3.11", False),
            ("aws-cli/3.0.0", False),
            ("something else", False),
        ],
    )
    def test_an_old_one_is_known_by_what_it_says(self, tmp_path: Path, said: str, *, old: bool) -> None:
        program = tmp_path / "aws"
        program.write_text(f"#!/bin/sh\necho '{said}' >&2\n")
        program.chmod(0o755)
        assert awscli.is_old(awscli.version(str(program))) is old

    def test_one_that_cannot_run_has_no_version(self, tmp_path: Path) -> None:
        assert awscli.version(str(tmp_path / "aws")) is None

    @pytest.mark.parametrize(
        ("line", "service"),
        [
            ("ec2 describe-vpcs", "ec2"),
            ("--region eu-west-1 --debug ec2 describe-vpcs", "ec2"),
            ("--region=sts --output text sts get-caller-identity", "sts"),
            ("--profile ec2 s3 ls", "s3"),
            ("--version", ""),
            ("--region", ""),
            ("", ""),
        ],
    )
    def test_services_of_ours_get_the_endpoint_in_front(self, line: str, service: str) -> None:
        words = line.split()
        assert awscli.service(words) == service
        added = ["--endpoint-url", URL] if service in ("ec2", "sts") else []
        assert awscli.command("/bin/aws", words, URL) == ["/bin/aws", *added, *words]
