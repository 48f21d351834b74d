"""The small commands as people run them: config, env, aws, keys, buckets; the help of spool and doctor too."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import pytest
from rich.text import Text
from tests.support.program import PROGRAM, Ran
from typer.main import get_command

from flowglass.app import profile
from flowglass.app.cli.main import app, main
from flowglass.app.config import load_config
from flowglass.app.state import note_place

GROUPS: Final = {
    "config": ["show", "check"],
    "keys": ["create", "token", "list", "disable", "rotate"],
    "buckets": ["create", "list", "policy"],
    "spool": ["list", "retry", "drop", "verify"],
}
COMMANDS: Final = [["env"], ["doctor"], *([group, name] for group, names in GROUPS.items() for name in names)]
HEAVY: Final = {"numba", "numpy", "pyarrow", "botocore", "sqlalchemy", "alembic", "starlette", "uvicorn", "structlog"}
SHELLS: Final = [shell for shell in ("bash", "dash", "zsh") if shutil.which(shell)]
KEY: Final = "FGAK234567ABCDEFGHIJ"
REGIONS: Final = (
    '<DescribeRegionsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r</requestId><regionInfo>'
    "<item><regionName>eu-west-1</regionName></item></regionInfo></DescribeRegionsResponse>"
)


Call = Callable[..., Ran]


@dataclass(frozen=True, slots=True)
class Home:
    """A DATA of its own, and an environment without anybody's AWS settings."""

    data: Path
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str | Path, program: Sequence[str] = (PROGRAM,), **more: str) -> Ran:
        """Run `flowglass` on it."""
        command = [*program, *map(str, arguments)]
        environment = {**self.environment, **more}
        done = subprocess.run(command, capture_output=True, env=environment, check=False, timeout=60)
        return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())

    def shell(self, shell: str, script: str, **more: str) -> Ran:
        """Run a script of a shell in it."""
        return self.run("-c", script, program=[str(shutil.which(shell))], **more)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("AWS_", "FLOWGLASS_"))}
    data = tmp_path / "da ta"
    return Home(data, {**kept, "FLOWGLASS_DATA_DIR": str(data), "HOME": str(tmp_path), "COLUMNS": "80"})


@pytest.fixture
def call(home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """The program within this process, for commands that leave nothing behind in it."""
    monkeypatch.setenv("FLOWGLASS_DATA_DIR", str(home.data))
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments: str | Path) -> Ran:
        monkeypatch.setattr(sys, "argv", ["flowglass", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code
        return Ran(code if isinstance(code, int) else 0, *capsys.readouterr())

    return run


@dataclass(slots=True)
class Listener:
    """A server that answers DescribeRegions to everybody and keeps who asked."""

    url: str
    asked: list[str]


@pytest.fixture
def listener() -> Iterator[Listener]:
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            asked.append(self.headers["Authorization"])
            self.send_response(200)
            self.send_header("Content-Length", str(len(REGIONS)))
            self.end_headers()
            self.wfile.write(REGIONS.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002, the base's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield Listener(f"http://127.0.0.1:{server.server_address[1]}", asked)
        server.shutdown()


def old_program(folder: Path, said: str) -> list[str]:
    """The program in a folder of its own, beside an `aws` that says its version, its arguments, and ends with 7."""
    folder.mkdir()
    python = folder / "python"
    python.symlink_to(sys.executable)
    scripts = {
        "aws": f'[ "$1" = --version ] && echo "{said}" && exit\nprintf "%s\\n" "$@" "$AWS_PROFILE"\nexit 7\n',
        "flowglass": f'PYTHONPATH="{os.pathsep.join(sys.path)}" exec "{python}" -m flowglass "$@"\n',
    }
    for name, script in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}")
        (folder / name).chmod(0o755)
    return [str(folder / "flowglass")]


def help_texts(command: Any, name: str = "root") -> Iterator[tuple[str, str]]:
    """Every text of a command's help page and of those below it, by what it is of."""
    yield f"{name} help", command.help or ""
    yield f"{name} epilog", command.epilog or ""
    for parameter in command.params:
        yield f"{name} {parameter.name}", getattr(parameter, "help", None) or ""
    for below, one in getattr(command, "commands", {}).items():
        yield from help_texts(one, f"{name} {below}")


class TestHelp:
    @pytest.mark.parametrize("command", [*COMMANDS, *([group] for group in GROUPS)], ids=" ".join)
    def test_it_is_there_at_once_and_loads_nothing_heavy(self, home: Home, command: list[str]) -> None:
        script = (
            f"import sys; sys.argv = ['flowglass', *{command}, '--help']\n"
            "from flowglass.app.cli.main import main\ntry: main()\n"
            "finally: print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)"
        )
        ran = home.run("-c", script, program=[sys.executable])
        assert ran.code == 0
        assert not HEAVY & set(ran.err.split())
        assert f"Usage: flowglass {' '.join(command)}" in ran.out
        assert ("Example" in ran.out) == (command in COMMANDS)


class TestHelpTexts:
    def test_none_has_what_rich_would_take_for_markup(self) -> None:
        for name, text in help_texts(get_command(app)):
            assert Text.from_markup(text).plain == text, name

    def test_every_command_is_looked_at(self) -> None:
        names = {name for name, _ in help_texts(get_command(app))}
        assert {f"root {' '.join(command)} epilog" for command in COMMANDS} <= names


class TestConfig:
    def test_show_tells_values_with_their_origin_and_no_secret(self, home: Home, tmp_path: Path) -> None:
        file = tmp_path / "mine.toml"
        file.write_text('[agent]\ntoken = "FGAK.hidden"\n[server]\nstate = "postgresql://u:hidden@h/d"\n')
        ran = home.run("config", "show", "--config", file, FLOWGLASS_LOG_LEVEL="debug")
        assert (ran.code, ran.err) == (0, "")
        rows = {tuple(line.split()[:2]): line.split(maxsplit=3)[2:] for line in ran.out.splitlines()}
        shown = {key: [text.strip() for text in row] for key, row in rows.items()}
        assert shown["[agent]", "token"] == ['"***"', f"{file}:2"]
        assert shown["[server]", "state"] == ['"postgresql://u:***@h/d"', f"{file}:4"]
        assert shown["[log]", "level"] == ['"debug"', "environment FLOWGLASS_LOG_LEVEL"]
        assert shown["[agent]", "poll_s"] == ["5", "default"]
        found = home.run("config", "show", "--config", file, "--json").json()
        assert {"section": "agent", "key": "token", "value": "***", "origin": f"{file}:2"} in found

    def test_every_fault_is_a_line(self, home: Home) -> None:
        home.data.mkdir()
        (home.data / "config.toml").write_text('[server]\nlisen = "x"\n[agent]\npoll_s = "5"\n')
        for command in (["config", "show"], ["config", "check"], ["keys", "list"]):
            ran = home.run(*command)
            assert (ran.code, ran.out) == (5, "")
            assert [line.replace(str(home.data), "DATA") for line in ran.err.splitlines()] == [
                "flowglass: DATA/config.toml:2: [server] lisen: no such key, did you mean listen?",
                "flowglass: DATA/config.toml:4: [agent] poll_s = '5': must be a whole number",
            ]

    def test_check_looks_for_files_too(self, home: Home) -> None:
        assert home.run("config", "check").out == "no fault found\n"
        ran = home.run("config", "check", FLOWGLASS_AGENT_INVENTORY="/no/such.yaml")
        assert (ran.code, ran.out) == (5, "")
        assert ran.err == (
            "flowglass: environment FLOWGLASS_AGENT_INVENTORY: [agent] inventory = '/no/such.yaml': "
            "No such file or directory; check the path\n"
        )


class TestEnv:
    @pytest.mark.parametrize("shell", SHELLS)
    def test_aws_of_a_shell_talks_to_the_server_whatever_was_exported(
        self, home: Home, listener: Listener, shell: str
    ) -> None:
        profile.write(home.data, KEY, "secret", "eu-west-1", listener.url)
        exported = {name: "elsewhere" for name in profile.UNSET if "URL" not in name} | {
            "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
            "AWS_USE_FIPS_ENDPOINT": "true",
            "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
        }
        script = f'eval "$("{PROGRAM}" env)"; aws ec2 describe-regions --query "Regions[].RegionName" --output text'
        ran = home.shell(shell, f"set -u; {script}", **exported)
        assert (ran.code, ran.out, ran.err) == (0, "eu-west-1\n", "")
        (authorization,) = listener.asked
        assert re.search(rf"Credential={KEY}/\d{{8}}/eu-west-1/ec2/aws4_request", authorization)

    @pytest.mark.parametrize("shell", SHELLS)
    @pytest.mark.parametrize(("said", "old"), [("aws-cli/2.9.19 Python/3.11", True), ("aws-cli/2.13.0", False)])
    def test_an_old_aws_becomes_a_function(
        self, home: Home, tmp_path: Path, shell: str, said: str, *, old: bool
    ) -> None:
        profile.write(home.data, KEY, "secret", "eu-west-1", "http://127.0.0.1:8780")
        (program,) = old_program(tmp_path / "it's old", said)
        ran = home.shell(shell, f"""eval "$("{program}" env)"; aws ec2 describe-vpcs --query 'a b' -- -x""")
        endpoint = ["--endpoint-url", "http://127.0.0.1:8780"] if old else []
        assert ran.out.splitlines() == [*endpoint, "ec2", "describe-vpcs", "--query", "a b", "--", "-x", "flowglass"]
        assert ran.code == 7

    def test_what_it_sets_as_json(self, home: Home) -> None:
        profile.write(home.data, KEY, "secret", "eu-west-1", "https://[::1]:8780", ca_bundle="/ca.pem")
        facts = home.run("env", "--json").json()
        assert facts == {
            "set": {
                "AWS_CONFIG_FILE": f"{home.data}/aws/config",
                "AWS_SHARED_CREDENTIALS_FILE": f"{home.data}/aws/credentials",
                "AWS_PROFILE": "flowglass",
                "AWS_ENDPOINT_URL_EC2": "https://[::1]:8780",
                "AWS_ENDPOINT_URL_STS": "https://[::1]:8780",
                "AWS_CA_BUNDLE": "/ca.pem",
                "FLOWGLASS_DATA_DIR": str(home.data),
            },
            "unset": list(profile.UNSET),
            "path": f"{home.data}/bin",
            "aws_is_flowglass_aws": False,
        }

    def test_path_has_this_program_and_aws_and_no_other_of_their_folder(self, home: Home) -> None:
        profile.write(home.data, KEY, "secret", "eu-west-1", "http://127.0.0.1:8780")
        (home.data / "bin").mkdir()
        (home.data / "bin" / "aws").symlink_to("/elsewhere/aws")
        script = f'eval "$("{PROGRAM}" env)"; command -v flowglass aws; command -v python; flowglass --version'
        own = home.data.parent / "own"
        own.mkdir()
        (own / "python").symlink_to(sys.executable)
        ran = home.shell("bash", script, PATH=f"{own}:/usr/bin:/bin")
        folder = home.data / "bin"
        assert ran.out.splitlines()[:3] == [f"{folder}/flowglass", f"{folder}/aws", f"{own}/python"]
        assert (ran.code, ran.out.splitlines()[3].split()[0]) == (0, "flowglass")
        assert {link.name: link.readlink() for link in folder.iterdir()} == {
            name: Path(PROGRAM).with_name(name) for name in ("aws", "flowglass")
        }

    def test_the_folder_of_links_is_its_owners_alone(self, home: Home) -> None:
        profile.write(home.data, KEY, "secret", "eu-west-1", "http://127.0.0.1:8780")
        assert home.run("env").code == 0
        assert stat.S_IMODE((home.data / "bin").stat().st_mode) == 0o700

    def test_a_link_to_an_aws_that_is_gone_hides_nothing(self, home: Home, tmp_path: Path) -> None:
        profile.write(home.data, KEY, "secret", "eu-west-1", "http://127.0.0.1:8780")
        assert home.run("env").code == 0
        program = old_program(tmp_path / "bin", "aws-cli/2.13.0")
        (tmp_path / "bin" / "aws").unlink()
        assert home.run("env", program=program).code == 0
        (link,) = (home.data / "bin").iterdir()
        assert (link.name, link.readlink()) == ("flowglass", tmp_path / "bin" / "flowglass")

    def test_links_that_cannot_be_made_are_one_clear_line(self, home: Home) -> None:
        profile.write(home.data, KEY, "secret", "eu-west-1", "http://127.0.0.1:8780")
        (home.data / "bin" / "flowglass").mkdir(parents=True)
        ran = home.run("env")
        assert (ran.out, ran.err.count("\n")) == ("", 1)
        assert f"check the folder {home.data}/bin" in ran.err
        assert [path.name for path in (home.data / "bin").iterdir()] == ["flowglass"]

    def test_data_is_named_only_where_it_was_chosen(self, home: Home, tmp_path: Path) -> None:
        profile.write(tmp_path / "own" / "flowglass", KEY, "secret", "eu-west-1", "http://127.0.0.1:8780")
        of_user = {"FLOWGLASS_DATA_DIR": "", "XDG_DATA_HOME": str(tmp_path / "own")}
        assert "FLOWGLASS_DATA_DIR" not in home.run("env", **of_user).out
        ran = home.run("env", "--data-dir", tmp_path / "own" / "flowglass", **of_user)
        assert f"export FLOWGLASS_DATA_DIR={tmp_path}/own/flowglass\n" in ran.out

    def test_without_a_server_it_says_what_to_start(self, home: Home) -> None:
        for command in (["env"], ["env", "--json"], ["aws", "ec2", "describe-vpcs"]):
            ran = home.run(*command)
            assert (ran.code, ran.out) == (5, "")
            assert ran.err == f"flowglass: {home.data}: no server was started here; start it first: flowglass up\n"


class TestAws:
    def test_it_runs_the_aws_cli_with_its_own_output_and_exit_code(self, home: Home, listener: Listener) -> None:
        profile.write(home.data, KEY, "secret", "eu-west-1", listener.url)
        ran = home.run("aws", "ec2", "describe-regions", AWS_ACCESS_KEY_ID="AKIAX", AWS_SECRET_ACCESS_KEY="x")  # noqa: S106
        assert ran.json() == {"Regions": [{"RegionName": "eu-west-1"}]}
        assert KEY in listener.asked[0]
        wrong = home.run("aws", "ec2", "no-such-command")
        assert wrong.code == home.run("ec2", "no-such-command", program=[str(Path(PROGRAM).with_name("aws"))]).code
        assert "usage: aws" in wrong.err

    def test_every_option_is_the_aws_clis(self, home: Home, tmp_path: Path) -> None:
        profile.write(home.data, KEY, "secret", "eu-west-1", "http://127.0.0.1:8780")
        program = old_program(tmp_path / "bin", "aws-cli/1.0.0")
        for line in (["--help"], ["-h"], ["--json", "--data-dir", "x", "s3", "ls"], ["--debug", "s3", "--", "--help"]):
            assert home.run("aws", *line, program=program).out.splitlines() == [*line, "flowglass"]

    def test_without_an_aws_cli_it_says_how_to_get_one(self, home: Home, tmp_path: Path) -> None:
        profile.write(home.data, KEY, "secret", "eu-west-1", "http://127.0.0.1:8780")
        program = old_program(tmp_path / "bin", "")
        (tmp_path / "bin" / "aws").unlink()
        said = "flowglass: there is no AWS CLI on this machine; install one: pip install awscli\n"
        ran = home.run("aws", "ec2", "describe-vpcs", program=program, PATH="/nonexistent")
        assert (ran.code, ran.out, ran.err) == (2, "", said)
        ran = home.run("env", program=program, PATH="/nonexistent")
        assert (ran.code, ran.err) == (0, said)


class TestKeys:
    def states(self, call: Call) -> dict[str, str]:
        return {key["id"]: key["state"] for key in call("keys", "list", "--json").json()}

    def test_a_key_is_made_listed_and_disabled(self, home: Home, call: Call) -> None:
        made = home.run("keys", "create", "--name", "dash", "--read-only", "--account", "123456789012")
        assert made.code == 0
        assert made.err.splitlines()[1] == (
            "flowglass: clients need Region and endpoint too: AWS_DEFAULT_REGION=REGION AWS_ENDPOINT_URL_EC2=URL "
            "AWS_ENDPOINT_URL_STS=URL"
        )
        name, key_id, secret = made.out.splitlines()
        assert name == "[dash]"
        key_id = key_id.removeprefix("aws_access_key_id = ")
        secret = secret.removeprefix("aws_secret_access_key = ")
        assert stat.S_IMODE(home.data.stat().st_mode) == 0o700
        assert stat.S_IMODE((home.data / "state.db").stat().st_mode) == 0o600
        listed = call("keys", "list")
        assert listed.out.splitlines()[1].split()[:5] == [key_id, "dash", "read-only", "123456789012", "-"]
        assert secret not in listed.out + call("keys", "list", "--json").out
        assert call("keys", "disable", key_id).out == f"disabled {key_id}\n"
        assert self.states(call) == {key_id: "disabled"}

    def test_the_administrators_key_is_rotated_with_its_profile(self, home: Home, call: Call) -> None:
        old = call("keys", "create", "--json").json()
        other = call("keys", "create", "--json").json()
        profile.write(home.data, old["id"], old["secret"], "eu-west-1", "http://127.0.0.1:8780")
        assert call("keys", "rotate", other["id"]).code == 0
        assert profile.needed_profile(home.data).key_id == old["id"]
        rotated = call("keys", "rotate", old["id"], "--json")
        new = rotated.json()
        assert (new["name"], new["role"]) == (old["name"], old["role"])
        assert rotated.err == f"flowglass: {home.data}/aws/credentials has the new key\n"
        assert profile.credentials_file(home.data).read_text().splitlines() == [
            "[flowglass]",
            f"aws_access_key_id = {new['id']}",
            f"aws_secret_access_key = {new['secret']}",
        ]
        assert self.states(call)[old["id"]] == "disabled"

    def test_a_new_key_comes_with_region_and_endpoint_of_the_profile(self, home: Home, call: Call) -> None:
        home.data.mkdir(mode=0o700)
        profile.write(home.data, KEY, "secret", "eu-west-1", "https://h:8780", ca_bundle="/my ca.pem")
        assert call("keys", "create").err.splitlines()[-1] == (
            "flowglass: clients need Region and endpoint too: AWS_DEFAULT_REGION=eu-west-1 "
            "AWS_ENDPOINT_URL_EC2=https://h:8780 AWS_ENDPOINT_URL_STS=https://h:8780 AWS_CA_BUNDLE='/my ca.pem'"
        )

    def test_the_last_administrator_stays_unless_forced(self, call: Call) -> None:
        key_id = call("keys", "create", "--json").json()["id"]
        ran = call("keys", "disable", key_id)
        assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
        assert "--force" in ran.err
        assert self.states(call) == {key_id: "enabled"}
        assert call("keys", "disable", key_id, "--force", "--json").json() == {"id": key_id, "state": "disabled"}

    def test_a_token_is_one_line(self, call: Call) -> None:
        made = call("keys", "token", "--name", "rack-7")
        assert re.fullmatch(r"FGAK\w+\.\S+\n", made.out)
        key_id = made.out.partition(".")[0]
        assert self.states(call) == {key_id: "enabled"}
        ran = call("keys", "rotate", key_id)
        assert (ran.code, ran.out) == (2, "")
        assert self.states(call) == {key_id: "enabled"}

    def test_a_mistake_is_one_line(self, call: Call) -> None:
        for command in (["rotate", "FGAKNONE"], ["disable", "FGAKNONE"], ["create", "--account", "12"]):
            ran = call("keys", *command)
            assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)

    def test_a_state_that_cannot_be_used_is_one_line_without_its_password(self, home: Home, call: Call) -> None:
        ran = home.run("keys", "list", FLOWGLASS_SERVER_STATE="postgresql://u:hidden@127.0.0.1:9/d")
        assert (ran.code, ran.out, ran.err.count("\n")) == (40, "", 1)
        assert "hidden" not in ran.err
        (home.data / "state.db").write_text("no database " * 100)
        ran = call("keys", "list")
        assert (ran.code, ran.out, ran.err.count("\n")) == (40, "", 1)

    def test_they_do_not_begin_a_state_where_the_server_has_another(self, home: Home, call: Call) -> None:
        home.data.mkdir(mode=0o700)
        elsewhere = {"FLOWGLASS_SERVER_STATE": "postgresql://u:hidden@h/d"}
        note_place(load_config(home.data, environ=elsewhere))
        for command in (["create"], ["token"], ["list"], ["disable", KEY], ["rotate", KEY]):
            ran = call("keys", *command)
            assert (ran.code, ran.out, ran.err.count("\n")) == (40, "", 1)
            assert "keeps its state at postgresql://u:***@h/d: set FLOWGLASS_SERVER_STATE or [server] state" in ran.err
        assert [path.name for path in home.data.iterdir()] == ["state-elsewhere"]


class TestBuckets:
    def test_a_bucket_is_made_and_listed(self, home: Home, call: Call) -> None:
        made = call("buckets", "create", "team-logs")
        assert (made.code, made.out, made.err) == (0, "made arn:aws:s3:::team-logs\n", "")
        assert call("buckets", "create", "other", "--json").json()["arn"] == "arn:aws:s3:::other"
        (home.data / "s3" / "team-logs" / "a.txt").write_text("four")
        assert call("buckets", "list").out.splitlines()[2].split()[:3] == ["team-logs", "1", "4"]
        found = {one["name"]: (one["objects"], one["bytes"]) for one in call("buckets", "list", "--json").json()}
        assert found == {"other": (0, 0), "team-logs": (1, 4)}

    def test_a_policy_is_put_and_shown(self, call: Call, tmp_path: Path) -> None:
        call("buckets", "create", "team-logs")
        assert call("buckets", "policy", "team-logs").out == "bucket team-logs has no policy\n"
        assert call("buckets", "policy", "team-logs", "--json").json() is None
        statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::team-logs/*"}
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        (tmp_path / "policy.json").write_text(json.dumps(policy))
        assert call("buckets", "policy", "team-logs", "--file", tmp_path / "policy.json").json() == policy
        assert call("buckets", "policy", "team-logs").json() == policy

    def test_a_mistake_is_one_line(self, call: Call, tmp_path: Path) -> None:
        call("buckets", "create", "team-logs")
        for name, text in (("bad.json", "{"), ("list.json", "[]"), ("other.json", '{"Statement": 1}')):
            (tmp_path / name).write_text(text)
        for command in (
            ["create", "team-logs"],
            ["create", "Team"],
            ["policy", "no-such"],
            ["policy", "../x"],
            *(["policy", "team-logs", "--file", str(tmp_path / name)] for name in ("bad.json", "list.json", "no.json")),
            ["policy", "team-logs", "--file", str(tmp_path / "other.json")],
        ):
            ran = call("buckets", *command)
            assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
