"""The command line as people and scripts meet it: help, fields, inventory, summaries, a run anew."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.support import pcapfile
from tests.support.program import CONTROL, PROGRAM, capture, environment, objects, run, udp

from flowglass.fields import EXTENSION_FIELDS, TRANSIT_GATEWAY_FIELDS, VPC_FIELDS

HELPS = [["--help"], ["record", "--help"], ["fields", "--help"], ["inventory", "--help"]]
HELPS += [["inventory", "check", "--help"], ["inventory", "init", "-h"], ["--version"]]
HEAVY = {"numba", "llvmlite", "numpy", "pyarrow", "yaml", "isal", "duckdb", "pandas"}


def words(arguments: list[str]) -> str:
    return " ".join(arguments)


class TestHelp:
    """`--help` answers at once: nothing heavy is imported for it."""

    @pytest.mark.parametrize("arguments", HELPS, ids=words)
    def test_cpu(self, arguments: list[str]) -> None:
        taken = []
        for _ in range(12):  # other work on the machine makes CPU time longer: the least of several is ours
            process = subprocess.Popen([PROGRAM, *arguments], stdout=subprocess.DEVNULL, env=environment())
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            assert process.returncode == 0
            taken.append(usage.ru_utime + usage.ru_stime)
            if taken[-1] < 0.3:
                break
            time.sleep(0.3)
        assert min(taken) < 0.3

    @pytest.mark.parametrize("arguments", [*HELPS, ["fields"], ["fields", "--json", "srcaddr"]], ids=words)
    def test_imports(self, arguments: list[str]) -> None:
        script = f"import sys; sys.argv = ['flowglass', *{arguments}]; from flowglass.app.cli.main import main; main()"
        command = [sys.executable, "-X", "importtime", "-c", script]
        done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=True)
        imported = {line.rsplit("|", 1)[1].strip().split(".")[0] for line in done.stderr.splitlines() if "|" in line}
        assert "typer" in imported
        assert not imported & HEAVY

    def test_every_command_says_what_it_does_and_gives_an_example(self) -> None:
        for arguments in HELPS[1:3]:
            text = run(*arguments).out
            assert "Usage: flowglass" in text
            assert "Example" in text
        assert run("--version").out.startswith("flowglass 0.")


class TestFields:
    """`flowglass fields` prints the field table."""

    def test_all(self) -> None:
        lines = run("fields").out.splitlines()
        assert [line.split()[1] for line in lines] == [field.name for field in (*VPC_FIELDS, *EXTENSION_FIELDS)]

    def test_json(self) -> None:
        rows = run("fields", "--json").json()
        assert [row["name"] for row in rows] == [field.name for field in (*VPC_FIELDS, *EXTENSION_FIELDS)]
        gateway = run("fields", "--transit-gateway", "--json").json()
        assert [row["name"] for row in gateway] == [field.name for field in TRANSIT_GATEWAY_FIELDS]

    @pytest.mark.parametrize("name", ["traffic-path", "traffic_path", "${traffic-path}"])
    def test_one(self, name: str) -> None:
        facts = run("fields", "--json", name).json()
        assert facts["name"] == "traffic-path"
        assert (facts["version"], facts["type"], facts["column"]) == (5, "INT_32", "traffic_path")
        assert facts["values"] == ["1", "2", "3", "4", "5", "6", "7", "8"]
        assert "Way out" in run("fields", name).out

    def test_unknown(self) -> None:
        ran = run("fields", "traffic-pat")
        assert (ran.code, ran.out) == (3, "")
        assert ran.err == "flowglass: unknown field traffic-pat, did you mean traffic-path?\n"


class TestInventory:
    """`flowglass inventory init` writes what `check` takes, and `check` tells every fault."""

    def test_example_is_valid(self, tmp_path: Path) -> None:
        ran = run("inventory", "init", "network.yaml", folder=tmp_path)
        assert (ran.code, ran.out) == (0, "wrote network.yaml; next: flowglass inventory check network.yaml\n")
        assert run("inventory", "init").out == (tmp_path / "network.yaml").read_text(encoding="utf-8")
        checked = run("inventory", "check", "network.yaml", folder=tmp_path)
        assert (checked.code, checked.out) == (0, "network.yaml: no fault found\n")
        assert run("inventory", "check", "network.yaml", "--json", folder=tmp_path).json() == []

    def test_init_overwrites_nothing(self, tmp_path: Path) -> None:
        (tmp_path / "network.yaml").write_text("mine", encoding="utf-8")
        ran = run("inventory", "init", "network.yaml", folder=tmp_path)
        assert (ran.code, ran.err.count("\n")) == (2, 1)
        assert "network.yaml: exists already, and nothing was written" in ran.err
        assert (tmp_path / "network.yaml").read_text(encoding="utf-8") == "mine"

    def test_faults_with_lines_and_remedies(self, tmp_path: Path) -> None:
        text = 'account: "12"\nregion: eu-west-1\nvpcs: [{id: vpc-1234567x, cidrs: [10.0.0.0/8]}]\nsubnet: []\n'
        (tmp_path / "bad.yaml").write_text(text, encoding="utf-8")
        ran = run("inventory", "check", "bad.yaml", folder=tmp_path)
        assert ran.code == 4
        assert {int(line.split(":")[1]) for line in ran.out.splitlines()} == {1, 3, 4}
        assert all("; " in line for line in ran.out.splitlines())
        assert re.fullmatch(r"flowglass: bad\.yaml: \d faults\n", ran.err)
        faults = run("inventory", "check", "bad.yaml", "--json", folder=tmp_path).json()
        assert [fault["line"] for fault in faults] == [int(line.split(":")[1]) for line in ran.out.splitlines()]
        assert all(fault["remedy"] for fault in faults)


class TestSummary:
    """`record` accounts for every packet, for people and for programs."""

    def test_json_adds_up(self, tmp_path: Path) -> None:
        packets = [udp(0), udp(1), udp(2, 7), udp(61), pcapfile.Packet(bytes(14) + b"not IP", udp(62).ts_ns)]
        path = capture(tmp_path / "a.pcap", packets)
        ran = run("record", path, "--out", tmp_path / "out", "--json", "--show", "2")
        account = ran.json()
        assert (ran.code, ran.err) == (0, "")
        assert set(account["differences"].values()) == {0}
        assert (account["frames"], account["frames_in_flows"], account["flows"], account["records"]) == (5, 4, 3, 3)
        assert sum(account["not_recorded"].values()) == 1
        assert [record["packets"] for record in account["first"]] == [2, 1]
        assert [(tmp_path / "out" / made["key"]).is_file() for made in account["objects"]] == [True]

    def test_text_is_quiet_in_a_pipe(self, tmp_path: Path) -> None:
        path = capture(tmp_path / "a.pcap", [udp(0), udp(1), udp(61)])
        ran = run("record", path, "--out", tmp_path / "out", "--show", "5")
        assert (ran.code, ran.err) == (0, "")
        assert not CONTROL.search(ran.out)
        assert "3  packets seen at 1 capture point, of which\n" in re.sub(r" +\n", "\n", ran.out)
        assert "in 2 flows" in ran.out
        for name in objects(tmp_path / "out"):
            assert str(tmp_path / "out" / name) in ran.out

    def test_table_of_records(self, tmp_path: Path) -> None:
        path = capture(tmp_path / "a.pcap", [udp(second, 1000 + second) for second in range(20)])
        lines = run("record", path, "--out", tmp_path / "out", "--show", "3").out.splitlines()
        assert lines[0].strip() == "first records"
        names = lines[1].split()
        assert names == ["srcport", "start", "end"]
        rows = [dict(zip(names, line.split(), strict=True)) for line in lines[2:5]]
        assert [row["srcport"] for row in rows] == ["1000", "1001", "1002"]
        assert lines[5].startswith("in all of them: version 2, account-id 000000000000, ")
        assert lines[5].endswith(", packets 1, bytes 29, action -, log-status OK")
        assert "srcaddr 10.0.0.1, dstaddr 10.0.0.2, dstport 53, protocol 17" in lines[5]

    def test_what_comes_next_works(self, tmp_path: Path) -> None:
        path = capture(tmp_path / "a.pcap", [udp(0)])
        ran = run("record", path, "--out", "out", folder=tmp_path)
        (line,) = [line for line in ran.out.splitlines() if line.startswith("next: ")]
        done = subprocess.run(
            ["bash", "-c", line.removeprefix("next: ")], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert "srcaddr: string" in done.stdout

    def test_a_second_run_finds_its_objects_there(self, tmp_path: Path) -> None:
        path = capture(tmp_path / "a.pcap", [udp(second) for second in range(0, 700, 10)])
        out = tmp_path / "out"
        first = run("record", path, "--out", out, "--json").json()
        before = {name: (out / name).stat() for name in objects(out)}
        again = run("record", path, "--out", out, "--json").json()
        assert [made["created"] for made in first["objects"]] == [True, True, True]
        assert [made["created"] for made in again["objects"]] == [False, False, False]
        assert {name: (out / name).stat() for name in objects(out)} == before
        assert "(already there)" in run("record", path, "--out", out).out
