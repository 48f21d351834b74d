"""The committed captures and the sample are what the scripts make, and the sample shows what it is meant to show."""

from __future__ import annotations

from collections import Counter

from scripts import make_captures, sample_network
from tests.support.oracle import Decoded, Frame, decode

from flowglass.fields.contracts import NotRecorded


def test_what_is_committed_is_what_the_scripts_make() -> None:
    assert make_captures.faults(make_captures.files()) == []


def test_a_file_that_differs_or_that_nothing_makes_is_named() -> None:
    expected = make_captures.files()
    path = make_captures.CAPTURES / "link_raw.pcap"
    assert make_captures.faults({**expected, path: b"other"}) == [f"{path.relative_to(make_captures.ROOT)}: differs"]
    del expected[path]
    assert make_captures.faults(expected) == [f"{path.relative_to(make_captures.ROOT)}: made by nothing"]


def test_captures_are_small_and_their_names_are_unique() -> None:
    cases = make_captures.cases()
    assert len({case.name for case in cases}) == len(cases)
    assert max(len(case.data) for case in cases) <= 4096


def test_what_else_stands_in_the_provenance_page_stays() -> None:
    cases = make_captures.cases()
    page = make_captures.provenance("# Golden\n\nother\n", cases) + "\nafter\n"
    assert make_captures.provenance(page, cases) == page
    assert page.startswith("# Golden\n\nother\n")


def test_the_sample_is_small_and_every_frame_of_it_is_recorded() -> None:
    seen = sample_network.traffic().seen
    outcomes = [decode(Frame(frame)) for _, _, _, _, frame in seen]
    assert not [outcome for outcome in outcomes if isinstance(outcome, NotRecorded)]
    assert len(sample_network.capture()) <= 200_000
    by_device = Counter(device.name for _, device, _, _, _ in seen)
    assert set(by_device) == {device.name for device in sample_network.DEVICES} - {"idle0"}


def test_the_sample_refuses_the_scan_and_nothing_else() -> None:
    refused = [frame for _, _, _, verdict, frame in sample_network.traffic().seen if verdict == sample_network.SHOT]
    flows = [outcome.key for outcome in map(decode, map(Frame, refused)) if isinstance(outcome, Decoded)]
    assert {key.src & 0xFFFF_FFFF for key in flows} == {0xC633_644D}
    assert 443 not in {key.dport for key in flows}
    assert len({key.dport for key in flows}) == len(sample_network.SCANNED) + 1
