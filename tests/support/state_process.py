"""A process that writes to a state, for tests to race and to kill.

Rule: it prints the number of a transaction only after that was stored.
Arguments: the URL, the first number, how many transactions.
"""

from __future__ import annotations

import sys

from sqlalchemy import Connection
from tests.support.state import flow_log, token

from flowglass.control.store import Store, client_tokens, flow_logs, tags

PARTS = 5
"""Flow logs that one transaction stores, with a tag each and one client token."""


def create(connection: Connection, number: int) -> None:
    """Store what belongs together."""
    made = [flow_log(number * PARTS + part) for part in range(PARTS)]
    flow_logs.insert(connection, made)
    tags.put(connection, [row.id for row in made], {"number": str(number)})
    client_tokens.put(connection, token(str(number), answer={"FlowLogIds": [row.id for row in made]}))


def main(url: str, first: int, count: int) -> None:
    """Store one transaction after another."""
    store = Store.open(url)
    for number in range(first, first + count):
        store.write(lambda connection, number=number: create(connection, number))  # type: ignore[misc]
        print(number, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
