"""Which shares are due, and which of them are delivered together.

Rule: what is due follows from shares and clocks alone. The wall clock says when a period is over; where it was set
back, the time since a share was first seen says so, so no clock step holds records back for long.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from flowglass.deliver.builder import MAX_BYTES
from flowglass.deliver.spool.model import LIVE, Share
from flowglass.fields.contracts import FlowLog
from flowglass.format import PERIOD_S

DELAY_S: Final = 30
"""How long after the end of a period its records are awaited."""


class Span(NamedTuple):
    """What is delivered together: records of one flow log and stream, in the `length_s` seconds from `start_s`."""

    flow_log_id: str
    stream: str
    start_s: int
    length_s: int


def spans(shares: Iterable[Share]) -> dict[Span, list[Share]]:
    """The shares by what they belong to, in their order."""
    found: dict[Span, list[Share]] = {}
    for share in shares:
        segment = share.segment
        length_s = share.flow_log.interval_s if _merged(share) else PERIOD_S
        start_s = segment.period_start_s // length_s * length_s
        found.setdefault(Span(share.flow_log.id, segment.stream, start_s, length_s), []).append(share)
    return found


def due(
    waiting: Mapping[Span, Sequence[Share]],
    *,
    at_once: Callable[[FlowLog], bool],
    first_seen_s: Mapping[Span, float],
    now_ms: int,
    monotonic_s: float,
    stopping: bool,
) -> Iterator[tuple[Share, ...]]:
    """The shares of each unit that may be made now.

    `at_once`: whether a flow log's destination takes each segment as it comes, and not five minutes together;
    `first_seen_s`: when each span was first seen, by the clock of `monotonic_s`; `stopping`: nothing more comes.
    """
    for span, shares in waiting.items():
        over = (
            stopping
            or span.stream != LIVE
            or now_ms >= (span.start_s + span.length_s + DELAY_S) * 1000
            or monotonic_s >= first_seen_s[span] + span.length_s + DELAY_S
        )
        if _merged(shares[0]):
            if over:
                yield tuple(shares)
        elif span.stream == LIVE and at_once(shares[0].flow_log):
            yield from ((share,) for share in shares)
        else:
            yield from _cut(shares, over=over)


def _merged(share: Share) -> bool:
    """Whether windows must be merged, for which all of them are needed."""
    return share.flow_log.interval_s > share.segment.window_s


def _cut(shares: Sequence[Share], *, over: bool) -> Iterator[tuple[Share, ...]]:
    """Shares for about one object each; what fills none waits until its period is over."""
    together: list[Share] = []
    size_bytes = 0
    for share in shares:
        together.append(share)
        size_bytes += share.segment.size_bytes  # of all flow logs' columns; the builder measures its objects itself
        if size_bytes >= MAX_BYTES:
            yield tuple(together)
            together, size_bytes = [], 0
    if together and over:
        yield tuple(together)
