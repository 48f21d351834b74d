"""The documents: generated pages, the blocks of the how-to pages, dependencies, and the rules of the tree."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

import pytest
from scripts import check_tree, make_docs
from tests.support.shared import ROOT

from flowglass.aggregate import PointCounts
from flowglass.app.cli import tables
from flowglass.app.summary import PointSummary, Summary
from flowglass.enrich import Excluded, ObserveCounts
from flowglass.fields.contracts import NotRecorded
from flowglass.jit import cache_dir

SAMPLE: Final = ROOT / "src" / "flowglass" / "app" / "data"
HOWTO: Final = sorted((ROOT / "docs" / "howto").glob("*.md"))
_FENCE: Final = re.compile(r"^```(\w+) test(?:=(\S+))?\n(.*?)^```", re.DOTALL | re.MULTILINE)


def project() -> dict[str, list[str]]:
    """Names of the dependencies of pyproject.toml: `base` and the extras by name, without those of ourselves."""
    facts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    listed = {"base": facts["dependencies"], **facts["optional-dependencies"]}
    names = {kind: [re.split(r"[<>=!~ \[;]", text)[0] for text in texts] for kind, texts in listed.items()}
    return {kind: [name for name in found if name != "flowglass"] for kind, found in names.items()}


class TestGeneratedPages:
    def test_pages_on_disk_are_what_the_code_says(self) -> None:
        assert make_docs.faults(make_docs.REFERENCE) == []

    def test_a_changed_missing_or_strange_page_is_named_with_the_remedy(self, tmp_path: Path) -> None:
        make_docs.write(tmp_path)
        assert make_docs.faults(tmp_path) == []
        (tmp_path / "errors.md").write_text("typed by hand\n")
        (tmp_path / "fields.md").unlink()
        (tmp_path / "old.md").write_text("")
        assert [fault.removeprefix(f"{tmp_path}/") for fault in make_docs.faults(tmp_path)] == [
            "errors.md: differs from the code; run `make docs`",
            "fields.md: differs from the code; run `make docs`",
            "old.md: made by nothing; remove it",
        ]

    def test_pages_say_first_that_they_are_generated(self) -> None:
        for make in make_docs.PAGES.values():
            assert make().startswith("Made from the code by `make docs`; do not edit.\n")

    def test_every_option_of_record_is_described(self) -> None:
        env = {**os.environ, "COLUMNS": "200", "TERM": "dumb"}
        program = [sys.executable, "-c", "from flowglass.app.cli.main import main; main()"]
        shown = subprocess.run([*program, "record", "--help"], capture_output=True, text=True, env=env, check=True)
        options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", shown.stdout)) - {"--help"}
        page = make_docs.PAGES["commands.md"]()
        assert len(options) > 10
        assert [option for option in sorted(options) if f"| `{option}` |" not in page] == []


class TestHowTo:
    @pytest.mark.parametrize("page", HOWTO, ids=lambda path: path.stem)
    def test_blocks_run(self, page: Path, tmp_path: Path) -> None:
        """The marked blocks of a page, in order, in one folder with the sample capture."""
        shutil.copy(SAMPLE / "sample.pcapng", tmp_path / "capture.pcapng")
        shutil.copy(SAMPLE / "sample-inventory.yaml", tmp_path / "network.yaml")
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        # A block's own DATA would have every kernel compiled anew.
        env = {**os.environ, "PATH": path, "NUMBA_CACHE_DIR": str(cache_dir().parent)}
        blocks = _FENCE.findall(page.read_text())
        assert blocks
        for language, name, text in blocks:
            if language == "yaml":
                (tmp_path / name).write_text(text)
                continue
            command = ["sh", "-eu", "-c", text] if language == "sh" else [sys.executable, "-c", text]
            done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{text}\n{done.stderr}"

    def test_the_index_names_every_page(self) -> None:
        docs = ROOT / "docs"
        index = (docs / "README.md").read_text()
        pages = [str(page.relative_to(docs)) for page in docs.rglob("*.md") if page.parent != docs]
        assert len(pages) > 10
        assert [page for page in pages if f"]({page})" not in index] == []


def full_account() -> Summary:
    """An account in which nothing is 0."""
    seen = ObserveCounts(
        unowned=1, ambiguous=1, second_look_flows=1, excluded=(1,) * len(Excluded), second_observations=1, merged=1
    )
    point = PointCounts(seen=2, in_flows=1, not_recorded=dict.fromkeys(NotRecorded, 1), without_time=1, late=1)
    return Summary(
        points=(PointSummary(name="eth0", link_type="ETHERNET", counts=point),) * 2,
        flows=1,
        frames_in_flows=1,
        open_flows=1,
        open_frames=1,
        early_drains=1,
        link_overflow=1,
        capture_dropped=1,
        observed=seen,
        records=1,
        nodata=1,
        filtered=1,
        dropped_records=1,
        objects=(),
        flow_logs=(),
        seconds=1.0,
    )


class TestAccounting:
    PAGE: Final = ROOT / "docs" / "explanation" / "accounting.md"

    def test_the_equations_are_those_that_record_checks(self) -> None:
        text = self.PAGE.read_text().split("## The equations")[1].split("##")[0]
        assert re.findall(r"^- (.*)$", text, flags=re.MULTILINE) == list(full_account().differences())

    def test_every_line_of_the_summary_is_explained(self, capsys: pytest.CaptureFixture[str]) -> None:
        tables.print_summary(full_account(), "logs")
        printed = [line.split(maxsplit=1)[1].strip() for line in capsys.readouterr().out.splitlines()]
        rows = re.findall(r"^\| ([^|]+) \|", self.PAGE.read_text(), flags=re.MULTILINE)
        patterns = [re.escape(row).replace("…", ".*") + "(,.*)?" for row in rows]
        assert len(printed) > 20
        assert [line for line in printed if not any(re.fullmatch(pattern, line) for pattern in patterns)] == []

    def test_every_key_is_in_json(self) -> None:
        account = full_account().as_dict()
        cells = re.findall(r"\| (`[^|]+) \|$", self.PAGE.read_text(), flags=re.MULTILINE)
        named = [key for cell in cells for key in re.findall(r"`([^`]+)`", cell)]
        assert len(named) > 20
        for key in named:
            outer, _, inner = key.replace("[]", "").partition(".")
            value = account[outer]
            assert not inner or inner in (value[0] if isinstance(value, list) else value), key

    def test_every_cause_is_on_the_page_of_causes(self) -> None:
        page = make_docs.PAGES["not-recorded.md"]()
        assert all(f"| {cause.text} |" in page for cause in Excluded)


class TestDependencies:
    def test_the_page_and_the_project_name_the_same(self) -> None:
        text = (ROOT / "docs" / "explanation" / "dependencies.md").read_text()
        sections = dict(re.findall(r"^## `?(\w+)`?\n(.*?)(?=^## |\Z)", text, flags=re.DOTALL | re.MULTILINE))
        rows = {name: re.findall(r"^\| `([^`]+)` \|", body, flags=re.MULTILINE) for name, body in sections.items()}
        titles = {"base": "Base", "dev": "Development"}
        for kind, names in project().items():
            assert sorted(rows[titles.get(kind, kind)]) == sorted(names), kind

    def test_constraints_are_exact_and_cover_every_dependency(self) -> None:
        lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
        assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9._+!-]+", line)] == []
        pinned = {_plain(line.split("==")[0]) for line in lines}
        assert {_plain(name) for names in project().values() for name in names} <= pinned
        assert {_plain(name) for name in check_tree.base_install()} <= pinned


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


ONE: Final = '"""One.\n\nRule: none.\n"""\nfrom flowglass.one.inner import f\n__all__ = ["f"]\n'


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small package of two rooms that breaks no rule."""
    files = {
        "src/flowglass/__init__.py": '"""All.\n\nRule: none.\n"""\n',
        "src/flowglass/one/__init__.py": ONE,
        "src/flowglass/one/inner.py": '"""In.\n\nRule: none.\n"""\ndef f(): ...\n',
        "src/flowglass/two/__init__.py": '"""Two.\n\nRule: none.\n"""\nfrom flowglass.one import f\n__all__ = ["f"]\n',
        "tests/test_it.py": '"""Tests."""\n',
        "page.md": "# A page, here\n[itself](page.md#a-page-here) [web](https://example.org/x)\n```\n[no](link)\n```\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    return tmp_path


class TestTree:
    def faults(self, tree: Path) -> list[str]:
        paths = check_tree.tracked(tree)
        return [
            *check_tree.sizes(tree)[0],
            *check_tree.docstrings(tree),
            *check_tree.public_lists(tree),
            *check_tree.private_imports(tree),
            *check_tree.unfinished(tree, paths),
            *check_tree.links(tree, paths),
        ]

    def test_a_good_tree_has_no_fault(self, tree: Path) -> None:
        assert self.faults(tree) == []
        assert check_tree.sizes(tree)[1] == []

    @pytest.mark.parametrize(
        ("name", "text", "fault"),
        [
            (
                "src/flowglass/one/inner.py",
                '"""In."""\n',
                "one/inner.py: its docstring has no line that begins with Rule:",
            ),
            ("tests/test_it.py", "x = 1\n", "tests/test_it.py: begins with no docstring"),
            ("tests/test_it.py", '"""T."""\n' * 601, "tests/test_it.py: 601 lines; a module has at most 600"),
            (
                "src/flowglass/two/more.py",
                '"""M.\n\nRule: none.\n"""\ndef g():\n    from flowglass.one.inner import f\n',
                "two/more.py:6: imports inner of one, which is not in the room's __all__",
            ),
            (
                "src/flowglass/two/more.py",
                '"""M.\n\nRule: none.\n"""\nfrom flowglass.one import inner\n',
                "two/more.py:5: imports inner of one, which is not in the room's __all__",
            ),
            (
                "src/flowglass/two/more.py",
                '"""M.\n\nRule: none.\n"""\nimport flowglass.one.inner\n',
                "two/more.py:5: imports inner of one, which is not in the room's __all__",
            ),
            (
                "src/flowglass/one/__init__.py",
                '"""One.\n\nRule: none.\n"""\nfrom flowglass.one.inner import f\n__all__ = ["f", "g"]\n',
                "one/__init__.py: __all__ has g, which it does not import",
            ),
            (
                "src/flowglass/one/__init__.py",
                '"""One.\n\nRule: none.\n"""\nfrom flowglass.one.inner import e, f\n__all__ = ["f"]\n',
                "one/__init__.py: imports e, which is not in __all__",
            ),
            ("notes.txt", "one\nTO" + "DO: two\n", "notes.txt:2: TO" + "DO; do it, or file an issue"),
            ("page.md", "# Page\n\n[gone](gone.md)\n", "page.md:3: the link gone.md leads to no file"),
            ("page.md", "# Page\n\n[gone](#gone)\n", "page.md:3: the link #gone leads to no heading"),
        ],
    )
    def test_a_broken_rule_is_one_fault(self, tree: Path, name: str, text: str, fault: str) -> None:
        (tree / name).write_text(text)
        found = self.faults(tree)
        assert len(found) == 1
        assert fault in found[0]

    def test_long_modules_are_listed_but_for_kernels_and_the_field_table(self, tree: Path) -> None:
        text = '"""Long.\n\nRule: none.\n"""\n' + "x = 1\n" * 300
        for name in ("one/long.py", "one/kernels.py", "one/decode_kernels.py", "fields/table.py"):
            path = tree / "src" / "flowglass" / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        faults, warnings = check_tree.sizes(tree)
        assert faults == []
        assert warnings == ["src/flowglass/one/long.py: 304 lines, more than 300"]

    def test_what_git_ignores_is_not_looked_at(self, tree: Path) -> None:
        (tree / ".gitignore").write_text("/bench/work\n")
        (tree / "bench" / "work").mkdir(parents=True)
        (tree / "bench" / "work" / "theirs.py").write_text("print 'old'\n")
        assert self.faults(tree) == []

    def test_a_base_install_brings_what_the_project_names(self) -> None:
        found = check_tree.base_install()
        assert {_plain(name) for name in project()["base"]} <= set(found)
        assert "pytest" not in found
        assert found["numpy"] > 10_000_000
