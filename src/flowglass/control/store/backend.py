"""What the store needs of a database, and how it tells the database's errors apart.

Rule: the store's own code is the same on every database; what differs is in sqlite.py and postgresql.py.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import ExceptionContext

from flowglass.control.store.errors import Conflict, StoreUnavailable

Fault = type[Conflict] | type[StoreUnavailable]


@dataclass(frozen=True, slots=True)
class Backend:
    """A database, opened.

    `reading`, `writing`: for the two kinds of transactions, which `begin_read` and `begin_write` begin: those that see
    one state of it, and those that run one at a time, so that what they read stays true until they commit. They are no
    listeners of SQLAlchemy, which would look for listeners around every statement then, at a fifth of its time.
    `turn`: held while a write runs, where the database itself lets writers wait badly.
    """

    reading: Engine
    writing: Engine
    begin_read: Callable[[Connection], object]
    begin_write: Callable[[Connection], object]
    turn: AbstractContextManager[object]


def translate_errors(engine: Engine, shown: str, classify: Callable[[BaseException], Fault | None]) -> None:
    """Have the engine raise the store's errors in the place of the driver's that `classify` knows."""

    @event.listens_for(engine, "handle_error")
    def translate(context: ExceptionContext) -> Exception | None:
        if context.is_pre_ping:
            return None  # SQLAlchemy makes a new connection for one that broke while nobody used it
        fault = StoreUnavailable if context.is_disconnect else classify(context.original_exception)
        if fault is None:
            return None  # SQLAlchemy raises its own
        return fault(f"the state at {shown}: {first_line(context.original_exception)}")


def first_line(error: BaseException | None) -> str:
    """What a driver's error says, in a line: PostgreSQL's go on with hints."""
    return str(error).strip().partition("\n")[0]
