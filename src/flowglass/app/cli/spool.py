"""`flowglass spool`: what an agent recorded and did not deliver yet, and whether what it delivered is still there.

Rule: looking changes nothing. A change is made by the process that has the spool: a running agent is asked, and where
none runs the command does it.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flowglass.app.cli.common import AsJson, ConfigFile, DataDir, configured, now_ms, print_table, utc

if TYPE_CHECKING:
    from flowglass.app.config import Config
    from flowglass.app.waiting import Waiting
    from flowglass.deliver import Action, SpoolView

app = typer.Typer(
    help="Look at what waits to be delivered, try again, give up, verify what was delivered.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_ANSWER_S = 10.0
"""How long a running agent is given to answer."""


@app.command("list", epilog="Examples: flowglass spool list · flowglass spool list --json")
def list_all(data_dir: DataDir = None, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Print what waits: flow log, destination, period, records, bytes, age, state, what the last attempt said."""
    from flowglass.app.words import many, size, span

    settings = configured(data_dir, config)
    view, found = _look(settings)
    if as_json:
        typer.echo(json.dumps(_as_json(view, found), indent=2))
        return
    heads = ("flow log", "destination", "five minutes", "records", "bytes", "age", "state", "last error")
    at_ms = now_ms()
    rows = [
        (
            one.flow_log,
            one.destination,
            utc(one.period_start_s * 1000),
            one.records,
            size(one.size_bytes),
            span((at_ms - one.oldest_ms) / 1000),
            one.state.value,
            one.error or None,
        )
        for one in found
    ]
    if rows:
        print_table(heads, rows)
    for path in view.damaged:
        typer.echo(f"damaged: {path}")
    agent = "an agent runs" if view.in_use else "no agent runs"
    records = many(sum(one.records for one in found), "record")
    typer.echo(f"{records} wait; the spool has {size(view.size_bytes)}; {agent}")


@app.command("retry", epilog="Examples: flowglass spool retry · flowglass spool retry s3://team-logs")
def retry(
    what: Annotated[
        str, typer.Argument(metavar="FLOW_LOG|DESTINATION", help="What to try, as `list` has it; all without it.")
    ] = "",
    data_dir: DataDir = None,
    config: ConfigFile = None,
) -> None:
    """Have a running agent try at once what waits after a failure."""
    from flowglass.deliver import Action
    from flowglass.fields.errors import OptionError

    settings = configured(data_dir, config)
    view, found = _look(settings)
    if what and not any(what in (one.flow_log, one.destination) for one in found):
        raise OptionError(f"{what}: nothing waits for it; `flowglass spool list` prints what does")
    if not found:
        typer.echo("nothing waits")
    elif view.in_use:
        typer.echo(_asked(view, Action.RETRY, what))
    else:
        typer.echo(f"no agent runs on {settings.data_dir}; its next start tries everything at once")


@app.command(
    "drop",
    epilog="Examples: flowglass spool drop fl-0123456789abcdef0 · flowglass spool drop --before 2026-01-31 --yes · "
    "flowglass spool drop --damaged",
)
def drop(
    flow_log: Annotated[str | None, typer.Argument(metavar="FLOW_LOG", help="Whose records to give up.")] = None,
    before: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Give up records of before a UTC day or time: 2026-01-31[T12:00:00]."),
    ] = None,
    damaged: Annotated[bool, typer.Option("--damaged", help="Remove the damaged files that were set aside.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data_dir: DataDir = None,
    config: ConfigFile = None,
) -> None:
    """Give up what waits; it is counted, and SKIPDATA records are delivered in its place."""
    from flowglass.app.words import many, size
    from flowglass.deliver import Action
    from flowglass.fields.errors import OptionError

    if [flow_log is not None, before is not None, damaged].count(True) != 1:
        raise OptionError("name one thing to give up: a flow log, --before TIME, or --damaged")
    settings = configured(data_dir, config)
    view, found = _look(settings)
    if damaged:
        action, argument, nothing = Action.DROP_DAMAGED, "", not view.damaged
        total = sum(path.stat().st_size for path in view.damaged)
        question = f"remove {many(len(view.damaged), 'damaged file')}, {size(total)}"
    else:
        action, argument = (Action.DROP, flow_log) if flow_log else (Action.DROP_BEFORE, str(_second(before or "")))
        chosen = [one for one in found if _is_meant(one, action, argument)]
        nothing = not chosen
        question = f"give up {_counted(chosen)}"
    if nothing:
        typer.echo("there is nothing to give up")
        return
    if yes or _agreed(question):
        typer.echo(_asked(view, action, argument) if view.in_use else _done(settings, action, argument))


@app.command("verify", epilog="Examples: flowglass spool verify · flowglass spool verify fl-0123456789abcdef0 --json")
def verify(
    flow_log: Annotated[
        str | None, typer.Argument(metavar="FLOW_LOG", help="Whose objects to look at; all without it.")
    ] = None,
    data_dir: DataDir = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Compare delivered objects with their manifests; exit code 1 where one is changed, gone, added or unreadable."""
    from flowglass.app.deliveries import rules
    from flowglass.app.verified import verified
    from flowglass.app.words import many

    settings = configured(data_dir, config)
    report = verified(settings.data_dir, rules(settings), flow_log)
    if as_json:
        findings = [{**one._asdict(), "fault": one.fault.value} for one in report.findings]
        facts = {"manifests": report.manifests, "objects": report.objects, "findings": findings}
        typer.echo(json.dumps(facts, indent=2))
    else:
        if report.findings:
            rows = ((one.fault.value, one.flow_log_id or None, one.where, one.what or None) for one in report.findings)
            print_table(("fault", "flow log", "where", "what"), rows)
        looked = f"{many(report.objects, 'object')} of {many(report.manifests, 'manifest')} looked at"
        found = many(len(report.faults), "fault") if report.faults else "all as delivered"
        left = f"; {len(report.unreadable):,} could not be looked at" if report.unreadable else ""
        typer.echo(f"{looked}: {found}{left}")
    raise typer.Exit(1 if report.faults or report.unreadable else 0)


def _look(settings: Config) -> tuple[SpoolView, list[Waiting]]:
    from flowglass.app.deliveries import rules, spool_folder
    from flowglass.app.waiting import waiting
    from flowglass.deliver import SpoolView

    view = SpoolView.open(spool_folder(settings))
    return view, waiting(view, rules(settings))


def _as_json(view: SpoolView, found: list[Waiting]) -> dict[str, Any]:
    return {
        "agent_runs": view.in_use,
        "size_bytes": view.size_bytes,
        "waiting": [{**dataclasses.asdict(one), "state": one.state.value} for one in found],
        "damaged": [str(path) for path in view.damaged],
    }


def _counted(chosen: list[Waiting]) -> str:
    """What would be given up, and what takes its place."""
    from flowglass.app.waiting import State
    from flowglass.app.words import many

    skipdata = sum(one.records for one in chosen if one.state is State.SKIPPED)
    records = sum(one.records for one in chosen) - skipdata
    for_good = f"{many(skipdata, 'SKIPDATA record')}; nothing takes their place"
    if not records:
        return for_good
    counted = f"{many(records, 'record')}; SKIPDATA records take their place"
    return f"{counted}; and {for_good}" if skipdata else counted


def _is_meant(one: Waiting, action: Action, argument: str) -> bool:
    from flowglass.deliver import Action

    return one.flow_log == argument if action is Action.DROP else one.period_start_s < int(argument)


def _second(text: str) -> int:
    """A time of UTC in seconds since 1970. Raises OptionError."""
    from datetime import UTC, datetime

    from flowglass.fields.errors import OptionError

    try:
        at = datetime.fromisoformat(text)
        return max(0, int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()))
    except (ValueError, OverflowError):
        raise OptionError(f"--before {text}: is a day or a time, as 2026-01-31 or 2026-01-31T12:00:00Z") from None


def _agreed(question: str) -> bool:
    """Whether a person says yes. Raises OptionError where nobody can be asked."""
    from flowglass.fields.errors import OptionError

    if not sys.stdin.isatty():
        raise OptionError(f"{question}? Say --yes, since nobody can be asked here")
    print(f"{question}? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _asked(view: SpoolView, action: Action, argument: str) -> str:
    """What the agent that has the spool answers."""
    import time

    number = view.request(action.value, argument, now_ms=now_ms())
    until = time.monotonic() + _ANSWER_S
    while time.monotonic() < until:
        answer = view.answer(number)
        if answer is not None:
            return answer
        time.sleep(0.1)
    return "the agent has not answered yet; it does it as soon as it can"


def _done(settings: Config, action: Action, argument: str) -> str:
    """Do it here, since no agent has the spool."""
    from flowglass.app.deliveries import limits, spool_folder
    from flowglass.deliver import Spool, drop_waiting

    spool = Spool.open(spool_folder(settings), limits=limits(settings), now_ms=now_ms)
    try:
        return drop_waiting(spool, action, argument)
    finally:
        spool.close()
