"""Structured logs on standard error: an event's name, and what belongs to it as keys and values.

Rule: everything that is logged passes here, what libraries warn of too, and no secret does. Text has one line an event,
whatever stands in its values.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Final, TextIO

import structlog
from structlog.typing import EventDict, WrappedLogger

from flowglass.app.config.rules import STARS

SECRETS: Final = ("secret", "token", "authorization", "password", "signature")
"""Words of a key's name whose value is never logged."""
_LIBRARIES: Final = ("uvicorn", "uvicorn.error", "uvicorn.access", "alembic", "sqlalchemy")
"""Loggers of libraries that bring handlers of their own."""
_BARE: Final = re.compile(r"[\w.:/+@%,*~\[\]-]+", re.ASCII)
_DEEPEST: Final = 8


def configure(level: str, form: str, stream: TextIO | None = None) -> None:
    """Set logging up for this process.

    `level`: debug, info, warning or error; `form`: text, json, or auto for text on a terminal and JSON elsewhere;
    `stream`: standard error without it.
    """
    out = stream if stream is not None else sys.stderr
    text = form == "text" or (form == "auto" and out.isatty())
    before: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.format_exc_info,
        without_secrets,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *before,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=before,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, as_text if text else as_json],
        )
    )
    # What libraries tell of their every step is for nobody; what they warn of is for the operator.
    own = logging.getLevelNamesMapping()[level.upper()]
    logging.basicConfig(handlers=[handler], level=max(own, logging.WARNING), force=True)
    logging.getLogger("flowglass").setLevel(own)
    for name in _LIBRARIES:
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
        library.setLevel(logging.NOTSET)


def logger(name: str, **known: object) -> structlog.stdlib.BoundLogger:
    """The logger of a part of the program; `known` is told with each of its events."""
    made: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(f"flowglass.{name}", **known)
    return made


def without_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Stars for the value of every key whose name has a word of SECRETS, within values too."""
    return {key: STARS if _is_secret(key) else _cleaned(value, _DEEPEST) for key, value in event.items()}


def _is_secret(key: object) -> bool:
    return isinstance(key, str) and any(word in key.lower() for word in SECRETS)


def _cleaned(value: Any, deeper: int) -> Any:
    if isinstance(value, Mapping) and deeper:
        return {key: STARS if _is_secret(key) else _cleaned(part, deeper - 1) for key, part in value.items()}
    if isinstance(value, list | tuple) and deeper:
        return [_cleaned(part, deeper - 1) for part in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def as_json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    """One JSON object a line: timestamp, level, event, then the rest."""
    return json.dumps(_ordered(event), default=str)


def as_text(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    """`time level event key=value …`; a traceback follows on lines of its own, indented."""
    rest = _ordered(event)
    head = [rest.pop(name) for name in _FIRST if name in rest]
    traceback = rest.pop("exception", "")
    words = [_line(str(word)) for word in head] + [f"{key}={_word(value)}" for key, value in rest.items()]
    lines = [" ".join(words), *(f"    {_line(line)}" for line in str(traceback).splitlines())]
    return "\n".join(lines)


_FIRST: Final = ("timestamp", "level", "event")


def _ordered(event: MutableMapping[str, Any]) -> dict[str, Any]:
    first = {name: event[name] for name in _FIRST if name in event}
    return first | {key: value for key, value in event.items() if key not in first}


def _word(value: Any) -> str:
    """A value as one word: bare where that is plain, else as JSON has it."""
    return value if isinstance(value, str) and _BARE.fullmatch(value) else json.dumps(value, default=str)


def _line(text: str) -> str:
    """Text that stays on its line and moves no cursor: what is not printable is written as an escape."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
