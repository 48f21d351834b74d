"""`python -m bench [--short] [--keep] [--only PART]`: measures, prints a table, writes `bench/results/`.

Rule: results are JSON with the facts of the machine; documents quote those and nothing else.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any, Final

from bench import e2e
from bench.measure import CommandError, machine

HERE: Final = Path(__file__).resolve().parent
MANY_FLOWS, FEW_FLOWS = 10_000_000, 200_000


def say(message: str) -> None:
    """Progress, for people."""
    print(message, file=sys.stderr, flush=True)


def markdown(figures: dict[str, float]) -> str:
    """The figures as a table."""
    rows = "".join(f"| {name} | {value:,.2f} |\n" for name, value in figures.items())
    return f"| figure | value |\n| --- | ---: |\n{rows}"


def measure(work: Path, only: str | None, *, short: bool) -> dict[str, Any]:
    """Everything that was asked for."""
    result: dict[str, Any] = {"machine": machine(), "short": short, "figures": {}}
    if only in (None, "e2e"):
        result["e2e"] = e2e.Bench(e2e.SHORT if short else e2e.FULL, work, say).run()
        result["figures"].update(result["e2e"].pop("figures"))
    if only in (None, "micro"):
        from bench import micro  # compiles: only where it is wanted

        say("records and the flow table")
        result["figures"].update(micro.records(work, micro.FLOWS // 4 if short else micro.FLOWS))
        result["figures"].update(micro.table(FEW_FLOWS if short else MANY_FLOWS))
    if only in (None, "api"):
        from bench import api  # needs botocore and moto: only where it is wanted

        result["api"] = api.run(api.SHORT if short else api.FULL, work, say)
        result["figures"].update(api.figures(result["api"]))
    if only in (None, "delivery"):
        from bench import delivery  # needs an S3 server: only where it is wanted

        result["delivery"] = delivery.run(delivery.SHORT if short else delivery.FULL, work, say)
        result["figures"].update(delivery.figures(result["delivery"]))
    return result


def merged(path: Path, result: dict[str, Any], only: str | None) -> dict[str, Any]:
    """The whole record: one part measured alone takes the place of its own figures, beside its own machine's facts."""
    if only is None or not path.exists():
        return result
    whole: dict[str, Any] = json.loads(path.read_text())
    whole["figures"].update(result["figures"])
    whole.setdefault("measured_alone", {})[only] = result["machine"]
    if only in result:
        whole[only] = result[only]
    return whole


def main() -> int:
    """Run the bench; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--short", action="store_true", help="200,000 packets, about a minute, for CI")
    parser.add_argument("--keep", action="store_true", help="keep the captures of bench/work for another run")
    parser.add_argument("--only", choices=("e2e", "micro", "api", "delivery"), help="one part of it")
    arguments = parser.parse_args()
    work = HERE / "work"
    work.mkdir(exist_ok=True)
    try:
        result = measure(work, arguments.only, short=arguments.short)
    except CommandError as error:
        say(str(error))
        return 1
    finally:
        if not arguments.keep:
            shutil.rmtree(work, ignore_errors=True)
    name = "short.json.tmp" if arguments.short else "results.json"
    (HERE / "results").mkdir(exist_ok=True)
    path = HERE / "results" / name
    path.write_text(json.dumps(merged(path, result, arguments.only), indent=1) + "\n")
    print(markdown(result["figures"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
