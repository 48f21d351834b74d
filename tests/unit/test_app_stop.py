"""The wish to end: what signals do, however many come, and in the middle of whatever."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from flowglass.app.stop import Stop

LOOKING = """
import time
from flowglass.app.stop import Stop
stop = Stop()
print("looking", flush=True)
while not stop.wait(0.0001):
    pass
until = time.monotonic() + 1
while time.monotonic() < until:
    stop.wait(0.0001)
print("ended", flush=True)
"""


@pytest.fixture
def stop() -> Iterator[Stop]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield Stop()
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_sets_it_for_good(stop: Stop, number: signal.Signals) -> None:
    assert not stop.is_set()
    assert not stop.wait(0)
    signal.raise_signal(number)
    assert stop.is_set()
    assert stop.wait(60)


def test_sleep_ends_with_the_signal(stop: Stop) -> None:
    began = time.monotonic()
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    before = signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGTERM))
    try:
        assert stop.wait(30)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert time.monotonic() - began < 10


def test_sleep_ends_with_its_time(stop: Stop) -> None:
    began = time.monotonic()
    assert not stop.wait(0.05)
    assert time.monotonic() - began >= 0.05


def test_signals_upon_signals_hold_nothing_up() -> None:
    """A handler that took a lock would wait for itself sooner or later."""
    process = subprocess.Popen([sys.executable, "-c", LOOKING], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "looking\n"
    until = time.monotonic() + 0.8
    while time.monotonic() < until:
        process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=20)[0] == "ended\n"
    assert process.returncode == 0
