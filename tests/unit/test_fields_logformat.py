"""Log formats: what is wrong is told at once and with the nearest name; version, printing, tag keys."""

from __future__ import annotations

import pytest

from flowglass.fields import (
    DEFAULT_FORMAT,
    EXTENSION_FIELDS,
    TRANSIT_GATEWAY_DEFAULT,
    TRANSIT_GATEWAY_FIELDS,
    VPC_FIELDS,
    LogFormat,
    Resource,
    all_fields,
    named_format,
)
from flowglass.fields.errors import LogFormatError

DEFAULT_TEXT = (
    "${version} ${account-id} ${interface-id} ${srcaddr} ${dstaddr} ${srcport} ${dstport} ${protocol} ${packets} "
    "${bytes} ${start} ${end} ${action} ${log-status}"
)
"""As the API of AWS returns it."""
TAG_NAMES = [field.name for field in VPC_FIELDS if field.tag_of is not None]


def faults(text: str, resource: Resource = Resource.VPC) -> str:
    with pytest.raises(LogFormatError) as caught:
        LogFormat.parse(text, resource=resource)
    message = str(caught.value)
    assert message.startswith("log format: ")
    assert "\n" not in message
    return message.removeprefix("log format: ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it is empty; name at least one field"),
        ("${srcadr}", "unknown field ${srcadr}, did you mean ${srcaddr}?"),
        ("${account_id}", "unknown field ${account_id}, did you mean ${account-id}?"),
        ("${q9}", "unknown field ${q9}, `flowglass fields` lists the names"),
        ("${version} ${version}", "${version} is there twice"),
        ("${nobody} ${nobody}", "unknown field ${nobody}"),
        ("version", "'version' has bad braces; write ${version}"),
        ("$version", "'$version' has bad braces; write ${version}"),
        ("${version", "'${version' has bad braces; write ${version}"),
        ("{version}", "'{version}' has bad braces; write ${version}"),
        ("${}", "'${}' has bad braces; write ${field-name}"),
        ("${Version}", "unknown field ${Version}, did you mean ${version}?"),
        ("${version}${start}", "'${version}${start}' has bad braces; write ${version} ${start}"),
        ("${version},${start}", "'${version},${start}' has bad braces; write ${version} ${start}"),
        ("${version}\t${start}", "has bad braces; write ${version} ${start}"),
        ("${version} ", "fields are separated by exactly one blank, with none before or after"),
        (" ${version}", "fields are separated by exactly one blank, with none before or after"),
        ("${version}  ${start}", "fields are separated by exactly one blank, with none before or after"),
        (" ", "fields are separated by exactly one blank, with none before or after"),
        ("${instance-tag}", "${instance-tag} needs a tag key of resource type instance"),
        ("${asg-tag-2}", "${asg-tag-2} needs a second tag key of resource type auto-scaling-group"),
    ],
)
def test_each_fault(text: str, message: str) -> None:
    assert message in faults(text)


def test_all_faults_come_at_once_and_none_twice() -> None:
    text = "${srcadr} ${start} ${start} ${dstadr}  ${interface-tag} bytes ${start} "
    assert faults(text).split("; ") == [
        "unknown field ${srcadr}, did you mean ${srcaddr}?",
        "${start} is there twice",
        "unknown field ${dstadr}, did you mean ${dstaddr}?",
        "fields are separated by exactly one blank, with none before or after",
        "${interface-tag} needs a tag key of resource type network-interface",
        "'bytes' has bad braces",
        "write ${bytes}",
    ]


def test_a_transit_gateway_format_has_its_own_names() -> None:
    assert LogFormat.parse("${tgw-id} ${start}", resource=Resource.TRANSIT_GATEWAY).names == ("tgw-id", "start")
    assert "unknown field ${tgw-id}" in faults("${tgw-id}")
    assert "unknown field ${interface-id}" in faults("${interface-id}", resource=Resource.TRANSIT_GATEWAY)
    assert len(TRANSIT_GATEWAY_DEFAULT.columns) == len(TRANSIT_GATEWAY_FIELDS) == 36
    assert TRANSIT_GATEWAY_DEFAULT.version == 6


@pytest.mark.parametrize(
    ("names", "version"),
    [
        (["version"], 2),
        (["srcaddr", "log-status"], 2),
        (["vpc-id"], 3),
        (["srcaddr", "vpc-id", "region"], 4),
        (["traffic-path", "tcp-flags"], 5),
        (["ecs-task-id"], 7),
        (["reject-reason", "ecs-task-id"], 8),
        (["resource-id"], 9),
        (["encryption-status", "version"], 10),
        (["next-hop-vpc-id"], 11),
        (["x-icmp"], 2),
    ],
)
def test_version_is_the_highest_of_the_fields(names: list[str], version: int) -> None:
    assert LogFormat.of(names).version == version


def test_default_format() -> None:
    assert str(DEFAULT_FORMAT) == DEFAULT_TEXT
    assert DEFAULT_FORMAT.version == 2
    assert LogFormat.parse(DEFAULT_TEXT) == DEFAULT_FORMAT == named_format("default")


def test_all_fields_are_those_of_aws_in_its_order() -> None:
    every = all_fields()
    assert every.names == tuple(field.name for field in VPC_FIELDS)
    assert len(every.columns) == 54
    assert every.version == 11
    assert every == named_format("all")
    assert not set(every.names) & {field.name for field in EXTENSION_FIELDS}


def test_format_as_printed_is_the_format_parsed() -> None:
    keys = {"instance": ["Name", "team"], "network-interface": ["role", "zone"], "auto-scaling-group": ["a", "b"]}
    every = all_fields(keys)
    assert LogFormat.parse(str(every), keys) == every
    backwards = LogFormat.of(reversed(every.names), keys)
    assert backwards.names == tuple(reversed(every.names))


def test_tag_keys_are_parameters_by_position() -> None:
    chosen = LogFormat.of(["instance-tag-2", "instance-tag", "start"], {"instance": ("Name", "cost centre")})
    assert [column.parameter for column in chosen.columns] == ["cost centre", "Name", None]
    assert [column.label for column in chosen.columns] == ["instance-tag-2[cost centre]", "instance-tag[Name]", "start"]


def test_all_without_tag_keys_has_the_tag_fields_without_a_parameter() -> None:
    by_name = {column.field.name: column.parameter for column in all_fields({"instance": ["Name"]}).columns}
    assert {name: by_name[name] for name in TAG_NAMES} == {
        "instance-tag": "Name",
        "instance-tag-2": None,
        "interface-tag": None,
        "interface-tag-2": None,
        "asg-tag": None,
        "asg-tag-2": None,
    }


def test_extensions_are_taken_when_asked_for() -> None:
    names = [field.name for field in EXTENSION_FIELDS]
    assert LogFormat.of(names).names == tuple(names)
