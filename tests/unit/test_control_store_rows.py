"""What the state keeps and gives back, on each database."""

from __future__ import annotations

import dataclasses

import pytest
from tests.support.state import ACCOUNT, REGION, agent, flow_log, key, read, resource, token, write

from flowglass.control.store import (
    Conflict,
    Store,
    agents,
    client_tokens,
    deliveries,
    flow_logs,
    keys,
    resources,
    settings,
    tags,
)
from flowglass.control.store.deliveries import DeliveryRow
from flowglass.control.store.flow_logs import FlowLogRow

OTHER = "210987654321"


def ids(rows: list[FlowLogRow]) -> list[int]:
    """The numbers that `flow_log` was given."""
    return [int(row.id.removeprefix("fl-"), 16) for row in rows]


def test_a_flow_log_comes_back_as_it_was_stored(store: Store) -> None:
    full = flow_log(
        1,
        log_group_name="group",
        deliver_logs_permission_arn="arn:aws:iam::123456789012:role/r",
        deliver_cross_account_role="arn:aws:iam::210987654321:role/x",
        log_format="${version} é \U0001f600",
        hive_compatible_partitions=True,
    )
    bare = flow_log(2, log_destination=None, per_hour_partition=False, tag_fields=())
    write(store, flow_logs.insert, [full, bare])
    found = read(store, flow_logs.find, account=None, region=None)
    assert [dataclasses.replace(row, seq=0) for row in found] == [full, bare]
    assert 0 < found[0].seq < found[1].seq


def test_flow_logs_are_found_by_all_that_is_asked(store: Store) -> None:
    rows = [flow_log(9), flow_log(3), flow_log(5, account=OTHER), flow_log(4, region="us-east-1")]
    write(store, flow_logs.insert, rows)
    all_ids = [row.id for row in rows]

    def found(**asked: object) -> list[int]:
        complete = {"account": None, "region": None} | asked
        return ids(read(store, flow_logs.find, **complete))  # type: ignore[arg-type]

    assert found() == [9, 3, 5, 4]
    assert found(account=ACCOUNT, region=REGION) == [9, 3]
    assert found(account=OTHER) == [5]
    assert found(region="us-east-1") == [4]
    assert found(ids=[all_ids[3], all_ids[0], "fl-unknown", all_ids[0]]) == [9, 4]
    assert found(account=OTHER, ids=all_ids) == [5]
    assert found(resource_ids=["vpc-00000003", "vpc-00000005"]) == [3, 5]
    assert found(ids=[]) == []
    assert found(ids=["\0", "fl-\ud800", "fl-\n"]) == []


def test_pages_go_on_after_the_last_seen_even_if_it_was_deleted(store: Store) -> None:
    write(store, flow_logs.insert, [flow_log(number) for number in range(7)])
    first = read(store, flow_logs.find, account=None, region=None, limit=3)
    write(store, flow_logs.delete, [first[-1].id])
    write(store, flow_logs.insert, [flow_log(7)])
    after = first[-1].seq
    second = read(store, flow_logs.find, account=None, region=None, after_seq=after, limit=3)
    rest = read(store, flow_logs.find, account=None, region=None, after_seq=second[-1].seq)
    assert ids(first) + ids(second) + ids(rest) == list(range(8))


def test_the_number_of_a_deleted_flow_log_is_not_given_again(store: Store) -> None:
    write(store, flow_logs.insert, [flow_log(1)])
    before = read(store, flow_logs.find, account=None, region=None)[0].seq
    write(store, flow_logs.delete, [flow_log(1).id])
    write(store, flow_logs.insert, [flow_log(2)])
    assert read(store, flow_logs.find, account=None, region=None)[0].seq > before


def test_one_flow_log_a_resource_destination_and_traffic_type(store: Store) -> None:
    first = flow_log(1)
    write(store, flow_logs.insert, [first])
    same = dataclasses.replace(first, id="fl-other", log_format="${bytes}")
    with pytest.raises(Conflict):
        write(store, flow_logs.insert, [flow_log(2), same])
    assert ids(read(store, flow_logs.find, account=None, region=None)) == [1]
    names = ("account", "region", "resource_id", "destination_key", "traffic_type")
    different = [flow_log(1, id=f"fl-{name}", **{name: "x"}) for name in names]
    write(store, flow_logs.insert, different)
    with pytest.raises(Conflict):
        write(store, flow_logs.insert, [flow_log(3, id=first.id)])


def test_existing_flow_logs_are_found_by_key_before_they_conflict(store: Store) -> None:
    row = flow_log(1)
    write(store, flow_logs.insert, [row, flow_log(2, account=OTHER)])
    same = {"destination_key": row.destination_key, "traffic_type": row.traffic_type}
    asked = [row.resource_id, "vpc-00000002"]
    found = {"vpc-00000001": (1, True), "vpc-00000002": (0, False)}
    assert read(store, flow_logs.taken, ACCOUNT, REGION, asked, **same) == found
    assert read(store, flow_logs.taken, ACCOUNT, REGION, [], **same) == {}
    for name in same:
        other = read(store, flow_logs.taken, ACCOUNT, REGION, asked, **{**same, name: "x"})
        assert other == found | {"vpc-00000001": (1, False)}


def test_flow_logs_are_counted_by_resource(store: Store) -> None:
    rows = [flow_log(1), flow_log(2, resource_id="vpc-00000001", traffic_type="REJECT"), flow_log(3, account=OTHER)]
    write(store, flow_logs.insert, rows)
    asked = ["vpc-00000001", "vpc-00000003", "vpc-unknown"]
    counted = read(store, flow_logs.taken, ACCOUNT, REGION, asked, destination_key="x", traffic_type="ALL")
    assert counted == {"vpc-00000001": (2, False), "vpc-00000003": (0, False), "vpc-unknown": (0, False)}


def test_a_thousand_flow_logs_at_once(store: Store) -> None:
    rows = [flow_log(number) for number in range(1000)]
    asked = [row.id for row in rows]
    write(store, flow_logs.insert, rows)
    write(store, tags.put, asked, {"a": "1"})
    assert ids(read(store, flow_logs.find, account=ACCOUNT, region=REGION, ids=asked)) == list(range(1000))
    assert read(store, tags.tags, asked) == {one: {"a": "1"} for one in asked}
    write(store, flow_logs.delete, asked)
    assert read(store, flow_logs.find, account=None, region=None) == []


def test_tags_are_put_replaced_and_removed(store: Store) -> None:
    one, two, three = (flow_log(number).id for number in (1, 2, 3))
    write(store, flow_logs.insert, [flow_log(number) for number in (1, 2, 3)])
    write(store, tags.put, [one, two, one], {"Name": "a", "empty": "", "name": "é"})
    write(store, tags.put, [two], {"Name": "b"})
    expected = {one: {"Name": "a", "empty": "", "name": "é"}, two: {"Name": "b", "empty": "", "name": "é"}, three: {}}
    assert read(store, tags.tags, [one, two, three]) == expected
    write(store, tags.remove, [one, two, three], {"Name": "a", "empty": None, "absent": None})
    left = read(store, tags.tags, [one, two])
    assert left == {one: {"name": "é"}, two: {"Name": "b", "name": "é"}}


def test_tags_come_in_the_order_of_their_code_points(store: Store) -> None:
    write(store, flow_logs.insert, [flow_log(1)])
    write(store, tags.put, [flow_log(1).id], dict.fromkeys(["b", "a-c", "ab", "B", "é", "_"], ""))
    found = read(store, tags.tags, [flow_log(1).id])[flow_log(1).id]
    assert list(found) == ["B", "_", "a-c", "ab", "b", "é"]


def test_what_belongs_to_a_flow_log_goes_with_it(store: Store) -> None:
    one, two = flow_log(1).id, flow_log(2).id
    delivered = [DeliveryRow(one, "a", "SUCCESS", None, 1, 1), DeliveryRow(two, "a", "SUCCESS", None, 1, 1)]
    write(store, flow_logs.insert, [flow_log(1), flow_log(2)])
    write(store, tags.put, [one, two], {"k": "v"})
    write(store, deliveries.report, delivered)
    write(store, flow_logs.delete, [one, "fl-unknown"])
    assert read(store, tags.tags, [one, two]) == {one: {}, two: {"k": "v"}}
    assert read(store, deliveries.of, [one, two]) == {one: [], two: [delivered[1]]}


def test_the_last_delivery_of_each_agent_counts(store: Store) -> None:
    one = flow_log(1).id
    write(store, flow_logs.insert, [flow_log(1)])
    failed = DeliveryRow(one, "b", "FAILED", "Access error", 5, 0)
    good = DeliveryRow(one, "a", "SUCCESS", None, 6, 1)
    first = [failed, good, dataclasses.replace(good, flow_log_id="fl-unknown")]
    write(store, deliveries.report, first)
    assert read(store, deliveries.of, [one]) == {one: [good, failed]}
    large = DeliveryRow(one, "b", "SUCCESS", None, 7, 2**40)
    write(store, deliveries.report, [failed, large])
    write(store, deliveries.report, [])
    assert read(store, deliveries.of, [one, "fl-unknown"]) == {one: [good, large], "fl-unknown": []}


def test_a_client_token_is_kept_once_a_account_region_and_token(store: Store) -> None:
    rows = [token("t"), token("T"), token("t", account=OTHER), token("t", region="us-east-1", answer={"a": "\0é"})]
    for row in rows:
        write(store, client_tokens.put, row)
    for row in rows:
        found = read(store, client_tokens.get, row.account, row.region, row.token)
        assert found == row
    assert read(store, client_tokens.get, ACCOUNT, REGION, "none") is None
    with pytest.raises(Conflict):
        write(store, client_tokens.put, token("t", digest="d2"))


def test_client_tokens_expire_by_their_age(store: Store) -> None:
    for name, created_ms in (("old", 99), ("edge", 100), ("new", 101)):
        write(store, client_tokens.put, token(name, created_ms=created_ms))
    write(store, client_tokens.expire, 100)
    left = [name for name in ("old", "edge", "new") if read(store, client_tokens.get, ACCOUNT, REGION, name)]
    assert left == ["edge", "new"]


def test_keys_are_kept_disabled_and_used_once(store: Store) -> None:
    bound = key("B", account=ACCOUNT, agent="a", role="enrol", expires_ms=2**41, created_ms=1)
    write(store, keys.insert, key("A"))
    write(store, keys.insert, bound)
    assert read(store, keys.get, "FGKB") == bound
    assert read(store, keys.get, "fgkb") is None
    assert read(store, keys.list_all) == [bound, key("A")]
    with pytest.raises(Conflict):
        write(store, keys.insert, key("A", role="read-only"))
    assert [write(store, keys.disable, "FGKA", ms) for ms in (5, 6)] == [True, False]
    assert [write(store, keys.use_once, "FGKB", ms) for ms in (7, 8)] == [True, False]
    assert not write(store, keys.disable, "FGKX", 5)
    assert not write(store, keys.use_once, "FGKX", 5)
    expected = [dataclasses.replace(bound, used_ms=7), key("A", disabled_ms=5)]
    assert read(store, keys.list_all) == expected


def test_a_secret_is_in_no_repr() -> None:
    assert "secret-of" not in repr(key("A"))


def test_agents_are_listed_and_seen(store: Store) -> None:
    late = agent("a", registered_ms=2)
    early = agent("b", registered_ms=1, report={"counters": [1, None]})
    for row in (late, early):
        write(store, agents.insert, row)
    assert read(store, agents.list_all) == [early, late]
    with pytest.raises(Conflict):
        write(store, agents.insert, late)
    write(store, agents.seen, "a", 9, {"captured": 5})
    write(store, agents.seen, "unknown", 9, {})
    assert read(store, agents.get, "a") == dataclasses.replace(late, seen_ms=9, report={"captured": 5})
    assert read(store, agents.get, "b") == early
    assert read(store, agents.get, "unknown") is None


def test_a_setting_keeps_its_first_value(store: Store) -> None:
    assert read(store, settings.get, "key") is None
    assert write(store, settings.put_if_absent, "key", "1") == "1"
    assert write(store, settings.put_if_absent, "key", "2") == "1"
    assert read(store, settings.get, "key") == "1"


def known(store: Store) -> set[str]:
    """The ids of all resources of the kinds that these tests make."""
    kinds = ("vpc", "subnet", "network-interface")
    return {row.id for kind in kinds for row in read(store, resources.find, kind, account=None, region=None)}


def test_an_inventory_replaces_the_agents_former_one(store: Store) -> None:
    write(store, agents.insert, agent("a"))
    subnet = resource("subnet-1", "subnet", vpc=None, document={"cidr": "10.0.0.0/24", "tags": {"é": "\0"}})
    twice = resource("vpc-1", document={"first": True})
    write(store, resources.replace, "a", [twice, subnet, resource("vpc-1")], "d1")
    assert known(store) == {"vpc-1", "subnet-1"}
    assert read(store, resources.find, "subnet", account=None, region=None) == [subnet]
    assert read(store, resources.find, "vpc", account=None, region=None) == [resource("vpc-1")]
    write(store, resources.replace, "a", [resource("vpc-2")], "d2")
    assert known(store) == {"vpc-2"}
    stored = read(store, agents.get, "a")
    assert stored is not None
    assert stored.inventory_digest == "d2"


def test_an_inventory_of_an_unknown_agent_is_refused(store: Store) -> None:
    with pytest.raises(LookupError, match="no agent a is registered"):
        write(store, resources.replace, "a", [resource("vpc-1")], "d1")
    assert not write(store, resources.change, "a", [resource("vpc-1")], [], "d0", "d1")


def test_a_change_applies_only_to_what_it_was_made_for(store: Store) -> None:
    write(store, agents.insert, agent("a"))
    write(store, resources.replace, "a", [resource("vpc-1"), resource("vpc-2"), resource("vpc-3")], "d1")
    put = [resource("vpc-2", document={"new": 1}), resource("vpc-4")]
    assert not write(store, resources.change, "a", put, [("vpc", "vpc-1")], "d0", "d2")
    assert known(store) == {"vpc-1", "vpc-2", "vpc-3"}
    gone = [("vpc", "vpc-1"), ("subnet", "vpc-3"), ("vpc", "vpc-9")]
    assert write(store, resources.change, "a", put, gone, "d1", "d2")
    found = read(store, resources.find, "vpc", account=None, region=None)
    assert found == [put[0], resource("vpc-3"), put[1]]
    assert not write(store, resources.change, "a", [], [], "d1", "d3")


def test_resources_are_found_by_all_that_is_asked(store: Store) -> None:
    write(store, agents.insert, agent("a"))
    subnet = resource("subnet-1", "subnet")
    rows = [resource("vpc-c"), resource("vpc-a", account=OTHER), resource("vpc-b", region="us-east-1"), subnet]
    write(store, resources.replace, "a", rows, "d1")

    def found(**asked: object) -> list[str]:
        complete = {"account": None, "region": None} | asked
        return [row.id for row in read(store, resources.find, "vpc", **complete)]  # type: ignore[arg-type]

    assert found() == ["vpc-a", "vpc-b", "vpc-c"]
    assert found(account=ACCOUNT) == ["vpc-b", "vpc-c"]
    assert found(account=ACCOUNT, region=REGION) == ["vpc-c"]
    assert found(ids=["vpc-c", "subnet-1", "vpc-a"], region=REGION) == ["vpc-a", "vpc-c"]
    assert found(ids=[]) == []
    expected = [(ACCOUNT, REGION), (ACCOUNT, "us-east-1"), (OTHER, REGION)]
    assert read(store, resources.accounts_and_regions) == expected


def test_of_a_resource_that_several_agents_know_the_one_seen_last_is_believed(store: Store) -> None:
    for name, seen_ms in (("a", 1), ("b", 2), ("c", 2)):
        write(store, agents.insert, agent(name, seen_ms=seen_ms))
        mine = [resource("vpc-1", document={"of": name}), resource(f"vpc-{name}")]
        write(store, resources.replace, name, mine, "d")

    def known() -> list[object]:
        found = read(store, resources.find, "vpc", account=ACCOUNT, region=REGION)
        assert [row.id for row in found] == ["vpc-1", "vpc-a", "vpc-b", "vpc-c"]
        return [row.document["of"] for row in found if row.id == "vpc-1"]

    assert known() == ["c"]
    write(store, agents.seen, "a", 3, {})
    assert known() == ["a"]


def test_a_resource_that_moved_to_another_account_is_no_longer_in_the_first(store: Store) -> None:
    for name, account, seen_ms in (("a", ACCOUNT, 1), ("b", OTHER, 2)):
        write(store, agents.insert, agent(name, seen_ms=seen_ms))
        mine = [resource("vpc-1", account=account)]
        write(store, resources.replace, name, mine, "d")
    assert read(store, resources.find, "vpc", account=ACCOUNT, region=None) == []
    assert len(read(store, resources.find, "vpc", account=OTHER, region=None)) == 1


def test_a_large_inventory(store: Store) -> None:
    rows = [resource(f"eni-{number:05}", "network-interface") for number in range(20_000)]
    write(store, agents.insert, agent("a"))
    write(store, resources.replace, "a", rows, "d1")
    assert read(store, resources.find, "network-interface", account=ACCOUNT, region=REGION) == rows
    gone = [(row.kind, row.id) for row in rows[:15_000]]
    assert write(store, resources.change, "a", rows[:1], gone, "d1", "d2")
    assert len(known(store)) == 5_001


def test_the_flow_logs_of_an_agent_are_those_of_its_resources(store: Store) -> None:
    for name, owned in (("a", flow_log(1).resource_id), ("b", flow_log(2).resource_id)):
        write(store, agents.insert, agent(name))
        write(store, resources.replace, name, [resource(owned)], "d1")
    before = read(store, flow_logs.revision)
    write(store, flow_logs.insert, [flow_log(1), flow_log(2)])
    made = read(store, flow_logs.revision)
    assert ids(read(store, flow_logs.of_agent, "a")) == [1]
    assert ids(read(store, flow_logs.of_agent, "b")) == [2]
    write(store, flow_logs.delete, [flow_log(2).id])
    deleted = read(store, flow_logs.revision)
    write(store, flow_logs.insert, [flow_log(3)])
    assert len({before, made, deleted, read(store, flow_logs.revision)}) == 4
