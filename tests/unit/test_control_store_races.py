"""Several writers of one state, and writers that die."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy import Connection
from tests.support.state import ACCOUNT, REGION, flow_log, read, token, write
from tests.support.state_process import PARTS

from flowglass.control.store import Conflict, Store, client_tokens, flow_logs, settings, tags
from flowglass.control.store import store as module

T = TypeVar("T")
THREADS = 8
ROOT = Path(__file__).resolve().parents[2]


def at_once(work: Callable[[int], T]) -> list[T]:
    """What each of THREADS threads returns that start together."""
    barrier = threading.Barrier(THREADS)

    def run(number: int) -> T:
        barrier.wait()
        return work(number)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(run, range(THREADS)))


def writer(url: str, first: int, count: int) -> subprocess.Popen[str]:
    """A process that stores `count` transactions, numbered from `first`."""
    command = [sys.executable, "-m", "tests.support.state_process", url, str(first), str(count)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_of_threads_that_use_one_client_token_one_wins_and_all_answer_alike(store: Store) -> None:
    runs = [0] * THREADS

    def create(number: int) -> tuple[bool, str]:
        def work(connection: Connection) -> tuple[bool, str]:
            runs[number] += 1
            used = client_tokens.get(connection, ACCOUNT, REGION, "t")
            if used is not None:
                return False, used.answer["FlowLogIds"][0]
            made = flow_log(number)
            flow_logs.insert(connection, [made])
            client_tokens.put(connection, token("t", answer={"FlowLogIds": [made.id]}))
            return True, made.id

        return store.write(work)

    answers = at_once(create)
    assert sorted(won for won, _ in answers) == [False] * (THREADS - 1) + [True]
    stored = [row.id for row in read(store, flow_logs.find, account=None, region=None)]
    assert [answer for _, answer in answers] == stored * THREADS


def test_of_threads_that_make_one_flow_log_without_looking_one_wins_and_the_others_conflict(store: Store) -> None:
    def create(number: int) -> bool:
        try:
            write(store, flow_logs.insert, [flow_log(1, id=f"fl-{number}")])
        except Conflict:
            assert len(read(store, flow_logs.find, account=None, region=None)) == 1
            return False
        return True

    assert sum(at_once(create)) == 1


def test_a_conflict_is_tried_again_and_work_that_then_succeeds_is_stored(store: Store) -> None:
    runs: list[int] = []

    def work(connection: Connection) -> str:
        runs.append(1)
        value = settings.put_if_absent(connection, f"run {len(runs)}", "x")
        if len(runs) <= module.RETRIES:
            raise Conflict("another was first")
        return value

    assert store.write(work) == "x"
    assert len(runs) == 1 + module.RETRIES
    assert read(store, settings.get, "run 1") is None
    assert read(store, settings.get, f"run {len(runs)}") == "x"


def test_an_exception_leaves_nothing_and_is_not_tried_again(store: Store) -> None:
    runs: list[int] = []

    def work(connection: Connection) -> None:
        runs.append(1)
        settings.put_if_absent(connection, "a", "b")
        raise LookupError("no")

    with pytest.raises(LookupError):
        store.write(work)
    assert runs == [1]
    assert read(store, settings.get, "a") is None


def test_a_limit_that_a_write_checks_is_never_passed(store: Store) -> None:
    limit, kinds = 3, ["ALL", "ACCEPT", "REJECT", "a", "b", "c", "d", "e"]

    def create(number: int) -> bool:
        def work(connection: Connection) -> bool:
            there = flow_logs.taken(
                connection, ACCOUNT, REGION, ["vpc-1"], destination_key="x", traffic_type=kinds[number]
            )
            if there["vpc-1"][0] >= limit:
                return False
            flow_logs.insert(connection, [flow_log(number, resource_id="vpc-1", traffic_type=kinds[number])])
            return True

        return store.write(work)

    assert sum(at_once(create)) == limit


def test_a_read_sees_one_state_while_another_writes(store: Store) -> None:
    def look(connection: Connection) -> tuple[str | None, str | None]:
        before = settings.get(connection, "a")
        writer = threading.Thread(target=write, args=(store, settings.put_if_absent, "a", "b"))
        writer.start()
        writer.join()
        return before, settings.get(connection, "a")

    assert store.read(look) == (None, None)
    assert read(store, settings.get, "a") == "b"


def test_two_processes_store_everything_of_both(store_url: str) -> None:
    processes = [writer(store_url, first, 30) for first in (0, 1000)]
    outputs = [process.communicate() for process in processes]
    assert [error for _, error in outputs] == ["", ""]
    store = Store.open(store_url)
    assert len(read(store, flow_logs.find, account=ACCOUNT, region=REGION)) == 2 * 30 * PARTS
    store.close()


def test_two_processes_that_make_the_same_flow_logs_share_them_out(store_url: str) -> None:
    processes = [writer(store_url, 0, 20) for _ in range(2)]
    outputs = [process.communicate() for process in processes]
    done = [line for out, _ in outputs for line in out.split()]
    assert len(done) == len(set(done))
    assert sum("Conflict" in error for _, error in outputs) >= 1
    store = Store.open(store_url)
    assert len(read(store, flow_logs.find, account=ACCOUNT, region=REGION)) == len(done) * PARTS
    store.close()


def test_a_killed_writer_leaves_whole_transactions_and_all_that_it_told_of(store_url: str) -> None:
    for first in (0, 10_000, 20_000):
        process = writer(store_url, first, 10_000)
        assert process.stdout is not None
        told = [int(process.stdout.readline()) for _ in range(20)]
        process.kill()
        told += [int(line) for line in process.communicate()[0].split()]
        store = Store.open(store_url)
        rows = read(store, flow_logs.find, account=ACCOUNT, region=REGION)
        numbers = [int(row.id.removeprefix("fl-"), 16) for row in rows]
        stored = sorted({number // PARTS for number in numbers})
        assert sorted(numbers) == [number * PARTS + part for number in stored for part in range(PARTS)]
        assert set(told) <= set(stored)
        tagged = read(store, tags.tags, [row.id for row in rows])
        assert [int(tagged[row.id]["number"]) for row in rows] == [number // PARTS for number in numbers]
        assert all(read(store, client_tokens.get, ACCOUNT, REGION, str(number)) for number in stored)
        assert read(store, client_tokens.get, ACCOUNT, REGION, str(stored[-1] + 1)) is None
        store.close()
