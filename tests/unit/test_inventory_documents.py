"""The documents that agents send are the documents that servers take."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.inventoried import INVENTORY
from tests.support.servers import SAMPLE_INVENTORY

from flowglass.inventory import document_fault, example, listing


@pytest.mark.parametrize("text", [INVENTORY, example(), SAMPLE_INVENTORY.read_text()], ids=["odd", "example", "sample"])
def test_what_is_listed_is_taken(text: str, tmp_path: Path) -> None:
    path = tmp_path / "network.yaml"
    path.write_text(text)
    listed = listing(path, at_ns=0)
    assert {resource.kind for resource in listed} >= {"vpc", "subnet", "network-interface"}
    assert [document_fault(resource.kind, resource.document) for resource in listed] == [None] * len(listed)


def test_keys_that_nothing_reads_are_taken_as_they_are() -> None:
    assert document_fault("vpc", {"cidrs": [], "colour": {"of": ["the", float("nan")]}}) is None


def test_a_fault_names_its_place() -> None:
    assert document_fault("vpc", {"cidrs": ["10.0.0.0/16", "10.0.0.0/33"]}) == "cidrs.1: '10.0.0.0/33' is no CIDR"
    assert document_fault("key", {}) == (
        "'key' is no kind of resource; these are: vpc, subnet, network-interface, instance, route-table, "
        "security-group, regional-nat-gateway"
    )
