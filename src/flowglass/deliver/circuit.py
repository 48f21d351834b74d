"""When something that fails is tried again: one circuit for each destination, flow log or unit that fails.

Rule: while a circuit is open nothing is tried but one probe when the wait is over. Waits grow exponentially with full
jitter (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/), and are never shorter than what the
service asked for. What works has no circuit.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

BASE_S: Final = 1.0
"""The longest wait after a first failure."""

CAP_S: Final = 300.0
"""The longest wait of all, but for what a service asks."""

_MOST_DOUBLINGS: Final = 30


@dataclass(slots=True)
class Circuit:
    """Something that fails. `failures`: in a row; `until_s`: when it may be probed (monotonic); `error`: the last;
    `kind`: of the last that was news, None once somebody asked for the next attempt.
    """

    failures: int = 0
    until_s: float = 0.0
    error: str = ""
    kind: Hashable = None
    probing: bool = False


@dataclass(slots=True)
class Circuits:
    """The open circuits, by what they belong to. `random`: gives numbers in [0, 1). Not for several threads at once."""

    random: Callable[[], float]
    _open: dict[Hashable, Circuit] = field(default_factory=dict)

    @property
    def open(self) -> Mapping[Hashable, Circuit]:
        """What fails now."""
        return self._open

    def allow(self, keys: Iterable[Hashable], now_s: float) -> bool:
        """Whether something may be tried that belongs to all of these."""
        found = (self._open.get(key) for key in keys)
        return all(circuit is None or (not circuit.probing and circuit.until_s <= now_s) for circuit in found)

    def begin(self, keys: Iterable[Hashable]) -> frozenset[Hashable]:
        """Something is tried that belongs to all of these; return those of which it is the probe."""
        probes = frozenset(key for key in keys if key in self._open)
        for key in probes:
            self._open[key].probing = True
        return probes

    def succeeded(self, keys: Iterable[Hashable]) -> list[Hashable]:
        """An attempt went well: close the circuits; return those that were open."""
        return [key for key in keys if self._open.pop(key, None) is not None]

    def failed(
        self,
        key: Hashable,
        error: str,
        now_s: float,
        *,
        kind: Hashable = "",
        probes: Collection[Hashable],
        retry_after_s: float | None = None,
    ) -> bool:
        """An attempt failed because of `key`; return whether that is news: the first failure, the first of another
        `kind`, or the first after `reset`.

        `probes`: what `begin` returned. Attempts that were begun before the circuit opened do not lengthen the wait,
        unless the service asks for it, and are no news.
        """
        new = key not in self._open
        circuit = self._open.setdefault(key, Circuit())
        news = new or (key in probes and circuit.kind != kind)
        if news:
            circuit.kind = kind
        if new or key in probes:
            longest_s = min(CAP_S, BASE_S * 2.0 ** min(circuit.failures, _MOST_DOUBLINGS))
            circuit.failures += 1
            circuit.until_s = now_s + self.random() * longest_s
        circuit.until_s = max(circuit.until_s, now_s + (retry_after_s or 0.0))
        circuit.error = error
        return news

    def ended(self, probes: Iterable[Hashable]) -> None:
        """An attempt is over, whatever it showed."""
        for key in probes:
            if key in self._open:
                self._open[key].probing = False

    def reset(self, keys: Iterable[Hashable]) -> int:
        """Allow the next attempt of these at once; return how many of them fail."""
        found = [self._open[key] for key in keys if key in self._open]
        for circuit in found:
            circuit.until_s = 0.0
            circuit.kind = None
        return len(found)

    def keep(self, keys: Collection[Hashable]) -> None:
        """Forget the circuits of all that nothing waits for any more."""
        for key in [key for key in self._open if key not in keys]:
            del self._open[key]
