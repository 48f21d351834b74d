"""What people may ask of the spool: to try again, or to give something up.

Rule: a request is done by the process that has the spool, be that the agent or the command itself; its answer is one
line for people.
"""

from __future__ import annotations

import enum
from collections.abc import Callable

from flowglass.deliver.spool import Request, Spool
from flowglass.deliver.spool.model import GivenUp
from flowglass.fields.errors import Error, OptionError


@enum.unique
class Action(enum.Enum):
    """What is asked, and of what: the request's argument."""

    RETRY = "retry"
    """to try at once what waits after a failure; a flow log's id, a destination as `Outlet.name` has it, "" for all"""
    DROP = "drop"
    """to give up what waits for a flow log; its id"""
    DROP_BEFORE = "drop-before"
    """to give up what waits of periods that begin before a time; in seconds since 1970"""
    DROP_DAMAGED = "drop-damaged"
    """to remove the damaged files that were set aside; no argument"""


def answer_to(request: Request, spool: Spool, retry: Callable[[str], str]) -> str:
    """Do what is asked; return what came of it, be it that it cannot be done. `retry`: does RETRY of an argument."""
    try:
        action = Action(request.action)
        return retry(request.argument) if action is Action.RETRY else drop_waiting(spool, action, request.argument)
    except (ValueError, Error) as error:
        return str(error)


def drop_waiting(spool: Spool, action: Action, argument: str) -> str:
    """Give up what one of the DROP actions asks for; return what was. Raises OptionError if it makes no sense."""
    match action:
        case Action.DROP if argument:
            return _told(spool.drop(flow_log_id=argument))
        case Action.DROP_BEFORE if argument.isdecimal():
            return _told(spool.drop(before_s=int(argument)))
        case Action.DROP_DAMAGED:
            return f"{spool.drop_damaged()} damaged files removed"
    raise OptionError(f"{action.value} {argument!r}: name a flow log, or a time in seconds since 1970")


def _told(gone: GivenUp) -> str:
    counts = [f"{gone.records} records"] if gone.records or not gone.skipdata else []
    return " and ".join([*counts, *([f"{gone.skipdata} SKIPDATA records"] if gone.skipdata else [])]) + " given up"
