"""The configuration: file, environment, flags, in this order; all faults at once, each with its place; no secret."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from flowglass.app.config import NAMED, SECTIONS, Config, all_faults, keys, load_config, shown, variables
from flowglass.app.config.lines import lines
from flowglass.fields.buckets import bucket_fault
from flowglass.fields.errors import ConfigError

KEYS: Final = [(section, key) for section in SECTIONS if section != NAMED for key in keys(section)]
OTHER: Final[dict[str, Any]] = {
    "server.listen": "[::1]:0",
    "server.state": "postgresql://u:hidden@h/d",
    "server.tls_certificate": "/c.pem",
    "server.tls_key": "/k.pem",
    "server.account": "123456789012",
    "server.region": "eu-west-1",
    "server.url": "https://flowglass.example",
    "server.metrics": "[::1]:9100",
    "agent.server": "https://flowglass.example:8780",
    "agent.name": "rack 7",
    "agent.token": "FG.hidden",
    "agent.inventory": "/network.yaml",
    "agent.poll_s": 60,
    "agent.tls_ca": "/ca.pem",
    "capture.watch": "/captures",
    "capture.assume_accept": True,
    "capture.max_flows": 1000,
    "destinations.allow": ["local", "arn:aws:s3:::team-*"],
    "cloudwatch_logs.endpoint": "http://10.0.0.1:4566",
    "cloudwatch_logs.region": "eu-north-1",
    "cloudwatch_logs.profile": "logs",
    "firehose.endpoint": "aws",
    "firehose.region": "eu-north-1",
    "firehose.profile": "streams",
    "spool.max_megabytes": 20_000,
    "spool.max_age_hours": 24,
    "spool.workers": 4,
    "local_store.retention_days": 30,
    "local_store.max_megabytes": 100_000,
    "local_store.min_free_megabytes": 1024,
    "log.level": "debug",
    "log.format": "json",
}
"""A right value of every key that is not its default."""
KMS_KEY: Final = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
BUCKET: Final[dict[str, Any]] = {
    "endpoint": "aws",
    "region": "eu-west-1",
    "profile": "delivery",
    "kms_key": KMS_KEY,
    "bucket_key": True,
    "acl": "",
    "addressing": "path",
}
"""The same of a bucket's keys."""

ENDPOINT: Final = "must be aws, or a URL without user and query, as https://s3.example:9000"
REGION: Final = "must be lower-case letters, digits and single hyphens, as eu-west-1"


def load(folder: Path, text: str = "", /, flags: Mapping[str, object] | None = None, **environ: str) -> Config:
    (folder / "config.toml").write_text(text, encoding="utf-8")
    return load_config(folder, environ=environ, flags=flags)


def faults(folder: Path, text: str = "", /, flags: Mapping[str, object] | None = None, **environ: str) -> list[str]:
    """The lines of the error, without the file's folder."""
    with pytest.raises(ConfigError) as caught:
        load(folder, text, flags, **environ)
    return str(caught.value).replace(f"{folder}/", "").split("\n")


def value(config: Config, section: str, key: str) -> Any:
    found = getattr(getattr(config, section), key)
    return list(found) if isinstance(found, tuple) else found


def as_file(values: dict[str, Any]) -> str:
    """Values as a file with dotted keys; JSON's scalars and lists are TOML's, too."""
    return "".join(f"{name} = {json.dumps(one)}\n" for name, one in values.items())


def as_text(one: Any) -> str:
    return ",".join(one) if isinstance(one, list) else json.dumps(one).strip('"')


class TestSources:
    """A value of the environment wins over the file's, a flag over both; `origins` says which it is."""

    def test_there_is_another_value_for_every_key(self) -> None:
        assert list(OTHER) == [f"{section}.{key}" for section, key in KEYS]

    def test_without_anything_all_is_default(self, tmp_path: Path) -> None:
        config = load_config(tmp_path, environ={})
        assert {origin for *_, origin in shown(config)} == {"default"}
        assert [value(config, *path) for path in KEYS] == [
            list(default) if isinstance(default, tuple) else default
            for section in SECTIONS
            if section != NAMED
            for default, _ in keys(section).values()
        ]

    def test_the_file_sets_every_key_and_is_named_with_the_line(self, tmp_path: Path) -> None:
        config = load(tmp_path, as_file(OTHER))
        for line, (section, key) in enumerate(KEYS, 1):
            assert value(config, section, key) == OTHER[f"{section}.{key}"]
            assert config.origins[f"{section}.{key}"] == f"{tmp_path}/config.toml:{line}"

    def test_the_environment_sets_every_key_over_the_file(self, tmp_path: Path) -> None:
        environ = {name: as_text(OTHER[".".join(path)]) for name, path in variables().items()}
        file = {name: one for name, one in OTHER.items() if "tls" in name} | {"agent.poll_s": 7, "log.level": "error"}
        config = load(tmp_path, as_file(file), None, **environ)
        for name, (section, key) in variables().items():
            assert value(config, section, key) == OTHER[f"{section}.{key}"]
            assert config.origins[f"{section}.{key}"] == f"environment {name}"

    def test_a_flag_wins_over_both_and_one_that_was_not_given_over_nothing(self, tmp_path: Path) -> None:
        flags: dict[str, object] = {"log.level": "error", "agent.poll_s": None, "capture.assume_accept": False}
        text = "[agent]\npoll_s = 7\n[capture]\nassume_accept = true"
        config = load(tmp_path, text, flags, FLOWGLASS_LOG_LEVEL="debug")
        assert (config.log.level, config.agent.poll_s, config.capture.assume_accept) == ("error", 7, False)
        assert (config.origins["log.level"], config.origins["agent.poll_s"]) == ("flag", f"{tmp_path}/config.toml:2")

    def test_another_file_takes_the_place_of_the_one_in_data(self, tmp_path: Path) -> None:
        (tmp_path / "config.toml").write_text("not TOML")
        (tmp_path / "mine.toml").write_text("agent.poll_s = 9")
        assert load_config(tmp_path, config_file=tmp_path / "mine.toml", environ={}).agent.poll_s == 9

    def test_buckets_are_sections_by_name(self, tmp_path: Path) -> None:
        text = '[buckets."my.bucket"]\nendpoint = "https://s3.example:9000"\n[buckets.other]\n'
        config = load(tmp_path, text)
        assert config.buckets["my.bucket"].endpoint == "https://s3.example:9000"
        row = ("buckets.my.bucket", "endpoint", "https://s3.example:9000", f"{tmp_path}/config.toml:2")
        assert row in list(shown(config))

    def test_a_bucket_has_everything_that_a_put_needs(self, tmp_path: Path) -> None:
        one = load(tmp_path, f"[buckets.team-logs]\n{as_file(BUCKET)}").buckets["team-logs"]
        assert {name: getattr(one, name) for name in BUCKET} == BUCKET
        assert list(BUCKET) == list(keys("buckets"))
        assert all(BUCKET[name] != default for name, (default, _) in keys("buckets").items())

    def test_relative_paths_begin_at_the_file_or_where_the_command_runs(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir("/")
        monkeypatch.setenv("HOME", "/home/me")
        config = load(tmp_path, '[agent]\ninventory = "net.yaml"\ntls_ca = "~/ca.pem"', FLOWGLASS_CAPTURE_WATCH="drop")
        assert config.agent.inventory == f"{tmp_path}/net.yaml"
        assert (config.agent.tls_ca, config.capture.watch) == ("/home/me/ca.pem", "/drop")

    def test_a_variable_of_somebody_else_is_left_alone(self, tmp_path: Path) -> None:
        assert load(tmp_path, FLOWGLASS_DATA_DIR="/d", FLOWGLASS_EXAMPLES="50", FLOWGLASS_PS1="x").origins


class TestFaults:
    """All faults at once, a line each: place, what is wrong, what it must be."""

    def test_every_fault_of_every_source(self, tmp_path: Path) -> None:
        text = """
[server]
listen = "8780"
lisen = "x"
state = "mysql://u:hidden@h/d"
account = 123456789012
region = "eu_1"
[agent]
poll_s = 0
token = 5
[destinations]
allow = [
  "local", # comment
  3,
]
[sever]
[buckets.Foo_]
[buckets.foo-bar]
endpoint = "s3.example"
"""
        environ = {
            "FLOWGLASS_AGENT_POL_S": "3",
            "FLOWGLASS_BUCKETS_FOO": "x",
            "FLOWGLASS_CAPTURE_ASSUME_ACCEPT": "yes",
            "FLOWGLASS_LOG_LEVEL": "loud",
            "FLOWGLASS_SEVER_LISTEN": "127.0.0.1:1",
        }
        assert faults(tmp_path, text, {"capture.max_flows": 0}, **environ) == [
            "config.toml:3: [server] listen = '8780': must be HOST:PORT, as 127.0.0.1:8780 or [::1]:8780",
            "config.toml:4: [server] lisen: no such key, did you mean listen?",
            "config.toml:5: [server] state: must be sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE",
            "config.toml:6: [server] account = 123456789012: must be text",
            f"config.toml:7: [server] region = 'eu_1': {REGION}",
            "config.toml:9: [agent] poll_s = 0: must be 1 to 3600",
            "config.toml:10: [agent] token: must be text",
            "config.toml:12: [destinations] allow = ['local', 3]: must be a list of texts",
            "config.toml:16: [sever]: no such section, did you mean server?",
            f"config.toml:17: [buckets.Foo_]: is no bucket's name: {bucket_fault('Foo_')}",
            f"config.toml:19: [buckets.foo-bar] endpoint = 's3.example': {ENDPOINT}",
            "environment FLOWGLASS_AGENT_POL_S: no such key, did you mean FLOWGLASS_AGENT_POLL_S?",
            "environment FLOWGLASS_BUCKETS_FOO: buckets are configured in the file: [buckets.NAME]",
            "environment FLOWGLASS_CAPTURE_ASSUME_ACCEPT: [capture] assume_accept = 'yes': must be true or false",
            "environment FLOWGLASS_LOG_LEVEL: [log] level = 'loud': must be one of debug, info, warning, error",
            "environment FLOWGLASS_SEVER_LISTEN: no such key, did you mean FLOWGLASS_SERVER_LISTEN?",
            "flag: [capture] max_flows = 0: must be 1 to 1000000000",
        ]

    @pytest.mark.parametrize(
        ("text", "fault"),
        [
            ("[server\n", "expected ']' at the end of a table declaration (at line 1, column 8)"),
            ("a = 1\na = 2\n", "cannot overwrite a value (at line 2, column 6)"),
            ("server = 3", "1: server: is a section; write [server] on a line of its own"),
            ("[[server]]", "1: server: is a section; write [server] on a line of its own"),
            ("[buckets]\nfoo = 1", "2: [buckets] foo: is a section; write [buckets.foo]"),
            ("[server.listen]\na = 1", "1: [server] listen = {'a': 1}: must be text"),
            ("[log]\nlevel = true", "2: [log] level = True: must be text"),
            ("[agent]\npoll_s = true", "2: [agent] poll_s = True: must be a whole number"),
            ("[agent]\npoll_s = 5.0", "2: [agent] poll_s = 5.0: must be a whole number"),
            ('[agent]\nname = "a\\u0000"', "2: [agent] name = 'a\\x00': has a control character; write it on one line"),
            ("x = " + "[" * 5000, "nested too deeply; is it the right file?"),
        ],
    )
    def test_a_file_that_is_wrong(self, tmp_path: Path, text: str, fault: str) -> None:
        (found,) = faults(tmp_path, text)
        assert found.removeprefix("config.toml:").strip() == fault

    def test_a_file_that_cannot_be_read(self, tmp_path: Path) -> None:
        missing, folder, binary, big = (tmp_path / name for name in ("no.toml", "folder", "binary", "big"))
        folder.mkdir()
        binary.write_bytes(b"\xff\xfe")
        big.write_bytes(b"#" * 300_000)
        expected = {
            missing: "No such file or directory; check the path",
            folder: "Is a directory; check the path and its permissions",
            binary: "not UTF-8; save the file as UTF-8",
            big: "larger than 256 KiB; is it the right file?",
        }
        for file, fault in expected.items():
            with pytest.raises(ConfigError) as caught:
                load_config(tmp_path, config_file=file, environ={})
            assert str(caught.value) == f"{file}: {fault}"

    @pytest.mark.parametrize("key", ["listen", "metrics"])
    @pytest.mark.parametrize("listen", ["0.0.0.0:8780", "[::]:8780", "192.0.2.1:0", "flowglass.example:443"])
    def test_other_machines_are_served_with_tls_only(self, tmp_path: Path, listen: str, key: str) -> None:
        variable = {f"FLOWGLASS_SERVER_{key.upper()}": listen}
        (fault,) = faults(tmp_path, "", None, **variable)
        assert fault == (
            f"environment FLOWGLASS_SERVER_{key.upper()}: [server] {key} = '{listen}': others can reach this address, "
            "so it needs TLS; set tls_certificate and tls_key"
        )
        tls = {"FLOWGLASS_SERVER_TLS_CERTIFICATE": "c.pem", "FLOWGLASS_SERVER_TLS_KEY": "k.pem"}
        assert value(load(tmp_path, "", None, **variable, **tls), "server", key) == listen

    @pytest.mark.parametrize(
        ("text", "fault"),
        [
            ('[buckets.b1c]\nregion = "eu-west-1"', "2: [buckets.b1c] region: needs endpoint too"),
            ('[cloudwatch_logs]\nendpoint = ""\nprofile = "p"', "3: [cloudwatch_logs] profile: needs endpoint too"),
            ('[firehose]\nregion = "eu-west-1"', "2: [firehose] region: needs endpoint too"),
            (
                '[buckets.b1c]\nendpoint = "aws"\nbucket_key = true',
                "3: [buckets.b1c] bucket_key: needs kms_key too",
            ),
        ],
    )
    def test_a_key_that_would_do_nothing_is_a_fault(self, tmp_path: Path, text: str, fault: str) -> None:
        assert faults(tmp_path, text) == [f"config.toml:{fault}"]

    def test_what_belongs_to_a_value_that_is_wrong_is_no_further_fault(self, tmp_path: Path) -> None:
        (fault,) = faults(tmp_path, '[buckets.b1c]\nendpoint = "nonsense"\nregion = "eu-west-1"\nprofile = "lab"')
        assert fault.startswith("config.toml:2: [buckets.b1c] endpoint = 'nonsense': must be aws, or a URL")
        (fault,) = faults(tmp_path, '[buckets.b1c]\nendpoint = "aws"\nkms_key = "x"\nbucket_key = true')
        assert "must be a key's full ARN" in fault

    @pytest.mark.parametrize(
        "key",
        [
            "1234abcd-12ab-34cd-56ef-1234567890ab",
            "alias/logs",
            "arn:aws:kms:eu-west-1:123456789012:alias/logs",
            "arn:aws:s3:::bucket",
            f"{KMS_KEY}/x",
        ],
    )
    def test_a_kms_key_is_named_by_its_full_arn(self, tmp_path: Path, key: str) -> None:
        (fault,) = faults(tmp_path, f'[buckets.b1c]\nendpoint = "aws"\nkms_key = "{key}"')
        assert "must be a key's full ARN, as arn:aws:kms:" in fault

    def test_objects_that_everybody_may_read_are_not_to_be_had(self, tmp_path: Path) -> None:
        (fault,) = faults(tmp_path, '[buckets.b1c]\nendpoint = "aws"\nacl = "public-read"')
        assert fault.endswith("must be one of bucket-owner-full-control, bucket-owner-read, private")

    @pytest.mark.parametrize(("key", "other"), [("tls_key", "tls_certificate"), ("tls_certificate", "tls_key")])
    def test_a_certificate_and_its_key_come_together(self, tmp_path: Path, key: str, other: str) -> None:
        assert faults(tmp_path, f'[server]\n{key} = "x"') == [f"config.toml:2: [server] {key}: needs {other} too"]

    @pytest.mark.parametrize(
        "listen",
        [
            "",
            ":8780",
            "127.0.0.1",
            "127.0.0.1:",
            "127.0.0.1:65536",
            "127.0.0.1:-1",
            "::1:80",
            "[::1]",
            "[x]:1",
            "a b:1",
        ],
    )
    def test_what_is_no_address_to_listen_at(self, tmp_path: Path, listen: str) -> None:
        (fault,) = faults(tmp_path, FLOWGLASS_SERVER_LISTEN=listen)
        assert fault.endswith("must be HOST:PORT, as 127.0.0.1:8780 or [::1]:8780")

    @pytest.mark.parametrize(
        ("listen", "host", "port"),
        [("127.0.0.1:0", "127.0.0.1", 0), ("[::1]:8780", "::1", 8780), ("localhost:65535", "localhost", 65535)],
    )
    def test_what_is_one(self, tmp_path: Path, listen: str, host: str, port: int) -> None:
        server = load(tmp_path, FLOWGLASS_SERVER_LISTEN=listen).server
        assert (server.host, server.port) == (host, port)

    @pytest.mark.parametrize(
        "url",
        [
            "flowglass:8780",
            "ftp://h",
            "https://",
            "https://h/x",
            "https://h?a",
            "https://u:p@h",
            "http://192.0.2.1:8780",
        ],
    )
    def test_what_is_no_url_of_a_server(self, tmp_path: Path, url: str) -> None:
        assert len(faults(tmp_path, FLOWGLASS_AGENT_SERVER=url, FLOWGLASS_SERVER_URL=url)) == 2

    @pytest.mark.parametrize("url", ["http://127.0.0.1:8780", "http://[::1]:1", "http://localhost/", "https://h:8780"])
    def test_what_is_one_of_a_server(self, tmp_path: Path, url: str) -> None:
        assert load(tmp_path, FLOWGLASS_AGENT_SERVER=url).agent.server == url

    def test_files_that_are_named_and_not_there_are_told_with_all_other_faults(self, tmp_path: Path) -> None:
        (tmp_path / "k.pem").touch()
        text = '[server]\ntls_certificate = "c.pem"\ntls_key = "k.pem"\n[capture]\nwatch = "not yet"\nmax_flows = 0'
        (tmp_path / "config.toml").write_text(text)
        missing = "No such file or directory; check the path"
        assert all_faults(tmp_path, environ={"FLOWGLASS_AGENT_INVENTORY": "/no.yaml"}) == [
            f"{tmp_path}/config.toml:6: [capture] max_flows = 0: must be 1 to 1000000000",
            f"{tmp_path}/config.toml:2: [server] tls_certificate = '{tmp_path}/c.pem': {missing}",
            f"environment FLOWGLASS_AGENT_INVENTORY: [agent] inventory = '/no.yaml': {missing}",
        ]

    def test_a_configuration_that_is_right_has_no_fault(self, tmp_path: Path) -> None:
        assert all_faults(tmp_path, environ={"FLOWGLASS_AGENT_INVENTORY": __file__}) == []


class TestSecrets:
    """A secret is in no repr, no output and no message."""

    def test_neither_repr_nor_output_has_one(self, tmp_path: Path) -> None:
        config = load(tmp_path, as_file(OTHER))
        rows = {(section, key): one for section, key, one, _ in shown(config)}
        assert rows["agent", "token"] == "***"
        assert rows["server", "state"] == "postgresql://u:***@h/d"
        assert "hidden" not in repr(config) + repr(rows)
        assert config.state_url == "postgresql://u:hidden@h/d"

    @pytest.mark.parametrize(
        ("url", "seen"),
        [
            (
                "postgresql://h/d?password=hidden&sslmode=verify-full",
                "postgresql://h/d?password=***&sslmode=verify-full",
            ),
            ("postgresql://u:hid%40den@h:5432/d", "postgresql://u:***@h:5432/d"),
            ("postgresql://u:hid@den@h/d", "postgresql://u:***@h/d"),
            ("postgresql://u@h/d", "postgresql://u@h/d"),
            ("sqlite:////var/lib/state.db", "sqlite:////var/lib/state.db"),
        ],
    )
    def test_a_password_is_hidden_wherever_it_stands(self, tmp_path: Path, url: str, seen: str) -> None:
        rows = {key: one for section, key, one, _ in shown(load(tmp_path, FLOWGLASS_SERVER_STATE=url))}
        assert rows["state"] == seen

    def test_no_message_has_one(self, tmp_path: Path) -> None:
        text = '[server]\nstate = "hidden"\nurl = "https://u:hidden@h/"\n[agent]\ntoken = ["hidden"]\n'
        found = faults(tmp_path, text + '[firehose]\nendpoint = "https://u:hidden@h"')
        text = '[buckets.b1c]\nendpoint = "https://h/?X-Amz-Security-Token=hidden&X-Amz-Signature=hidden"'
        found += faults(tmp_path, text)
        assert [fault.partition(": must be ")[2] for fault in found[3:]] == [ENDPOINT.removeprefix("must be ")] * 2
        assert len(found) == 5
        assert "hidden" not in " ".join(found)

    def test_without_a_database_the_state_is_in_data(self, tmp_path: Path) -> None:
        assert load(tmp_path).state_url == f"sqlite:///{tmp_path}/state.db"


class TestLines:
    """Every key has the line on which its statement begins."""

    TEXT: Final = """# comment
[a]
x = 1   # one

y.z = [
  "[not.a.table]",
]
s = '''
x = 9
[no]
'''
t = {u = 1, v = {w = 2}}
[a.b."c.d"]
[[e]]
f = 1
"""

    def test_lines(self) -> None:
        expected = {
            ("a",): 2,
            ("a", "x"): 3,
            ("a", "y"): 5,
            ("a", "y", "z"): 5,
            ("a", "s"): 8,
            ("a", "t"): 12,
            ("a", "t", "u"): 12,
            ("a", "t", "v"): 12,
            ("a", "t", "v", "w"): 12,
            ("a", "b"): 13,
            ("a", "b", "c.d"): 13,
            ("e",): 14,
            ("e", "f"): 15,
        }
        assert lines(self.TEXT) == expected
        assert lines(self.TEXT.replace("\n", "\r\n")) == expected
