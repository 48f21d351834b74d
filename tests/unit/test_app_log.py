"""Logs: one line an event, as text or JSON, without secrets, those of libraries too."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any, Final

import pytest
import structlog

from flowglass.app import log

HIDDEN: Final = "hidden"


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root, own = logging.getLogger(), logging.getLogger("flowglass")
    handlers, levels = root.handlers[:], (root.level, own.level)
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    own.setLevel(levels[1])
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def events(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_json_has_one_object_a_line() -> None:
    out = io.StringIO()
    log.configure("info", "json", out)
    log.logger("server", port=8780).info("server_started", url="http://h", tls=False)
    (event,) = events(out)
    assert list(event)[:3] == ["timestamp", "level", "event"]
    assert event.pop("timestamp").endswith("Z")
    assert event == {"level": "info", "event": "server_started", "port": 8780, "url": "http://h", "tls": False}


def test_text_has_the_event_and_its_words() -> None:
    out = io.StringIO()
    log.configure("info", "text", out)
    log.logger("agent").warning("object_kept", key="AWSLogs/1/a.gz", reason="no space", size=3, ok=None)
    rest = out.getvalue().split(" ", 1)[1]
    assert rest == 'warning object_kept key=AWSLogs/1/a.gz reason="no space" size=3 ok=null\n'


def test_auto_is_text_on_a_terminal_and_json_elsewhere() -> None:
    for out, text in ((Terminal(), True), (io.StringIO(), False)):
        log.configure("info", "auto", out)
        log.logger("x").info("said")
        assert out.getvalue().startswith("{") != text


def test_what_is_below_the_level_is_not_said() -> None:
    out = io.StringIO()
    log.configure("warning", "json", out)
    log.logger("x").info("quiet")
    log.logger("x").warning("loud")
    assert [event["event"] for event in events(out)] == ["loud"]


@pytest.mark.parametrize(("level", "said"), [("debug", ["warned"]), ("info", ["warned"]), ("error", [])])
def test_of_libraries_warnings_are_said_where_our_own_would_be(level: str, said: list[str]) -> None:
    out = io.StringIO()
    log.configure(level, "json", out)
    logging.getLogger("uvicorn.error").info("quiet")
    logging.getLogger("uvicorn.error").warning("warned")
    assert [event["event"] for event in events(out)] == said


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_secret_is_logged_at_any_depth(form: str) -> None:
    out = io.StringIO()
    log.configure("debug", form, out)
    inside = {"parameters": [{"SecretAccessKey": "hidden"}, ("x", {"PASSWORD": "hidden"})]}
    log.logger("x", authorization="hidden").info("called", request=inside, client_token=HIDDEN)
    structlog.contextvars.bind_contextvars(enrol_token=HIDDEN)
    logging.getLogger("alembic").warning("migrated", extra={"secret": "hidden"})
    assert "hidden" not in out.getvalue()
    assert out.getvalue().count("***") == 5


def test_libraries_are_logged_in_the_same_form_once() -> None:
    out = io.StringIO()
    own = logging.getLogger("uvicorn.error")
    own.addHandler(logging.StreamHandler(io.StringIO()))
    own.propagate = False
    log.configure("info", "json", out)
    for name in ("uvicorn.error", "uvicorn.access", "alembic.runtime.migration", "asyncio"):
        logging.getLogger(name).warning("from %s", name)
    assert [event["event"] for event in events(out)] == [
        "from uvicorn.error",
        "from uvicorn.access",
        "from alembic.runtime.migration",
        "from asyncio",
    ]


def test_text_stays_on_its_line_whatever_it_is() -> None:
    out = io.StringIO()
    log.configure("info", "text", out)
    hostile = "GET /\x1b[2J\r\nfake\u2028\x9b"
    logging.getLogger("uvicorn.error").warning(hostile)
    log.logger("x").info("asked", path=hostile)
    assert len(out.getvalue().splitlines()) == 2
    assert out.getvalue().replace("\n", "").isprintable()


def test_an_exception_is_told_with_its_traceback() -> None:
    for form in ("text", "json"):
        out = io.StringIO()
        log.configure("info", form, out)
        try:
            raise ValueError("no such thing")
        except ValueError:
            log.logger("x").exception("call_failed", request_id="r")
        said = out.getvalue()
        assert "ValueError: no such thing" in said
        assert "call_failed" in said.splitlines()[0]
        assert (len(said.splitlines()) == 1) == (form == "json")
