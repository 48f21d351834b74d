"""What the store answers when it cannot do what was asked.

Rule: neither is the caller's mistake. A Conflict may be gone when the work is run again; a StoreUnavailable is gone
when the database is back, and the store finds out by itself.
"""

from __future__ import annotations


class Conflict(Exception):
    """Another transaction was first: a row with this key is there, or the database was locked for too long.

    The transaction is over on PostgreSQL, so work lets it pass; `Store.write` runs the work again.
    """


class StoreUnavailable(Exception):
    """The database cannot be reached, or refuses to store: no server, no space, a damaged file."""
