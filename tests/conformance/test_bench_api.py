"""The bench's calls of the API, in small: both servers start, check what they say they check, and answer rightly."""

from __future__ import annotations

from pathlib import Path

from bench import api

SIZES = api.Sizes((3, 110), vpcs=60, creates=6, seconds=0.1, connections=(2,), rounds=1)


def test_every_call_is_measured_on_every_server(tmp_path: Path) -> None:
    result = api.run(SIZES, tmp_path, lambda _: None)
    cases = {"create", "by id", "by resource", "all"}
    assert {present: set(of) for present, of in result.items()} == {"3": cases, "110": cases | {"page of 100"}}
    for of in result.values():
        for by_connections in of.values():
            assert {name: len(one["rounds"]) for name, one in by_connections["2"].items()} == {
                "flowglass": 1,
                "moto, checks off": 1,
                "moto, checks on": 1,
            }
        made = [one["rounds"][0]["calls"] for one in of["create"]["2"].values()]
        assert all(2 <= calls <= SIZES.creates for calls in made)
    figures = api.figures(result)
    assert len(figures) == 3 * 9
    assert all(value > 0 for value in figures.values())
