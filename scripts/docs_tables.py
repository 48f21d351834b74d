"""The reference pages that are tables of the code: fields, errors, link types, causes of what is not recorded,
configuration, metrics.

Rule: names, numbers and meanings come from the code. What is added here is keyed by the code's own members, so a new
one without a line here stops `make docs`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from flowglass.app import metric_table
from flowglass.app.config import FILE, NAMED, SECTIONS, Kind, keys, variables
from flowglass.capture import SUPPORTED
from flowglass.capture import points as capture_points
from flowglass.enrich import Excluded
from flowglass.fields import EXTENSION_FIELDS, TRANSIT_GATEWAY_FIELDS, VPC_FIELDS, Field, Origin
from flowglass.fields import errors as error_tree
from flowglass.fields.contracts import NotRecorded
from scripts.docs_text import code, constant_docs, doc, page, table

_SOURCES = "https://www.tcpdump.org/linktypes.html"

CAUSES: Final[dict[NotRecorded, str]] = {
    NotRecorded.LINK_TYPE: "The capture point has a link type that is not read; see [link types](link-types.md). "
    "The rest of a capture with several interfaces goes on.",
    NotRecorded.LINK_HEADER: "The captured bytes end inside the link header, its VLAN tags, MPLS labels or PPPoE "
    "header, or a length in it is wrong.",
    NotRecorded.ARP: "Address resolution; AWS logs none of it either.",
    NotRecorded.NOT_IP: "The link header is whole and names another protocol than IPv4 or IPv6.",
    NotRecorded.IP_CUT: "The captured bytes end inside the fixed IP header or IPv4 options, for example by a short "
    "snap length.",
    NotRecorded.IP_BROKEN: "The version, the header length or the total length cannot be true.",
    NotRecorded.EXTENSION_BROKEN: "The chain of IPv6 extension headers is cut or does not fit, so the protocol cannot "
    "be known.",
}

LEFT_OUT: Final[dict[Excluded, str]] = {
    Excluded.RESERVED_ADDRESS: "One address is instance metadata (169.254.169.254) or time (169.254.169.123), or, in "
    "subnets with `aws_reserved: true`, the router, the resolver or 169.254.169.253.",
    Excluded.DHCP: "UDP between ports 67 and 68, or 546 and 547 for IPv6.",
}

READ_AS: Final[dict[str, str]] = {
    "NULL": "BSD loopback, either byte order",
    "ETHERNET": "Ethernet with VLAN, QinQ, MPLS and PPPoE",
    "PPP": "PPP with or without address and control bytes",
    "RAW": "IPv4 or IPv6 without a link header",
    "PPP_HDLC": "PPP in HDLC-like framing; C-HDLC frames in it too",
    "PPP_ETHER": "a PPPoE session packet",
    "C_HDLC": "Cisco HDLC",
    "LOOP": "OpenBSD loopback",
    "LINUX_SLL": "Linux `any` device, with the packet's direction",
    "IPV4": "IPv4 only",
    "IPV6": "IPv6 only",
    "NFLOG": "netfilter log, with hook, prefix and MAC address",
    "LINUX_SLL2": "Linux `any` device, second form, with the packet's direction",
}


def _described(field: Field) -> list[object]:
    meaning = field.doc
    if field.values:
        meaning += " Values: " + ", ".join(f"`{value}`" for value in field.values) + "."
    if field.tag_of is not None:
        meaning += f" Its parameter is a tag key of `{field.tag_of}`."
    if field.absent:
        meaning += f" Always `-` here: {field.absent}"
    return [f"`{field.name}`", field.version, field.type.value, field.origin.value, meaning]


def _facts(fields: tuple[Field, ...]) -> str:
    return table(("field", "version", "type", "comes from", "meaning"), (_described(field) for field in fields))


def fields() -> str:
    """Every field of the table."""
    origins = constant_docs(Origin)
    return page(
        "Fields",
        f"The {len(VPC_FIELDS)} fields of a VPC flow log in AWS's order. A log format names them as `${{field}}`; "
        "`flowglass fields NAME` prints one. In Parquet and SQL a name has underscores for hyphens. "
        "A value that is not known, or does not apply, is `-` in text and null in Parquet.",
        "`version` is the record version that brought the field; a record's own version is the highest among its "
        "fields. `comes from` says what the value is taken from:",
        "\n".join(f"- **{origin.value}**: {origins[origin.name]}" for origin in Origin),
        "## VPC flow logs",
        _facts(VPC_FIELDS),
        "## Extensions",
        "Fields of Flowglass. They are in no default format, not in `--format all`, and AWS has none of them.",
        _facts(EXTENSION_FIELDS),
        "## Transit gateway flow logs",
        "Listed so that AWS's own logs can be read.",
        _facts(TRANSIT_GATEWAY_FIELDS),
    )


def errors() -> str:
    """The error tree and its exit codes."""
    classes = error_tree.all_errors()
    interrupted = constant_docs(error_tree)["INTERRUPTED"]
    tree = doc(error_tree).split("\n\n")[1]
    return page(
        "Errors and exit codes",
        "Every error is one line on standard error, `flowglass: what, where, what to do`, and an exit code of its own; "
        "a wrong configuration has a line a fault. "
        "Codes are stable: a code that is no longer used stays reserved. 0 is success. "
        "Code 2 is also what a command line that cannot be parsed gives.",
        table(
            ("exit code", "class in Python", "what it means and what to do"),
            [
                *((cls.exit_code, f"`{cls.__name__}`", doc(cls)) for cls in classes),
                (error_tree.INTERRUPTED, "`KeyboardInterrupt`", interrupted),
            ],
        ),
        "In Python they are in `flowglass.fields.errors`:",
        code(tree),
    )


def link_types() -> str:
    """Which link types are read."""
    others = constant_docs(capture_points)["OTHERS"]
    return page(
        "Link types",
        f"Link types that are read, by LINKTYPE number ({_SOURCES}). 12 and 14 are the numbers that some systems "
        "write for raw IP in place of 101.",
        table(
            ("number", "name", "what it is"),
            ((number, f"`{name}`", READ_AS[name]) for number, name in sorted(SUPPORTED.items())),
        ),
        "A packet of another link type is counted as `"
        + NotRecorded.LINK_TYPE.text
        + "`, and one line on standard error names the type. A capture that has no other packets ends with exit "
        f"code {error_tree.LinkTypeUnsupported.exit_code}.",
        "## Known by name only",
        others.replace(", for messages", "; messages use them"),
        table(("number", "name"), ((number, f"`{name}`") for number, name in sorted(capture_points.OTHERS.items()))),
    )


def not_recorded() -> str:
    """Why a packet is in no record."""
    return page(
        "What is not recorded",
        "Every packet that a capture point delivers is in exactly one flow, or is counted here. "
        "The [accounting page](../explanation/accounting.md) has the sums.",
        "## Packets in no flow",
        table(("cause", "when"), ((cause.text, CAUSES[cause]) for cause in NotRecorded)),
        "## Flows that AWS never logs",
        "Left out only where an inventory describes the interface, and only with `exclusions: aws`, which is the "
        "default of an inventory file; `exclusions: none` records them. Without an inventory nothing is left out.",
        table(("cause", "when"), ((cause.text, LEFT_OUT[cause]) for cause in Excluded)),
    )


def configuration() -> str:
    """Every section and key of the configuration."""
    names = {path: name for name, path in variables().items()}
    return page(
        "Configuration",
        f"A TOML file, `DATA/{FILE}` or the one that `--config` names. A variable of the environment wins over the "
        "file, an option of the command over both: `[log] level` is FLOWGLASS_LOG_LEVEL. In a variable, a list has "
        "commas between its parts, and a switch is `true` or `false`. Relative paths begin at the file's folder; those "
        "of variables and options at the folder in which the command runs; `~` is the user's home. "
        "Everything that is wrong is told at once, with its place. `flowglass config show` prints each value with its "
        "origin, `flowglass config check` looks for the files that are named, too.",
        "DATA is `--data-dir`, else FLOWGLASS_DATA_DIR, else the user's data folder. It is open to its owner alone.",
        *(
            f"## [{section}.NAME]\n\n{doc(cls)} It has no variable.\n\n{_keys(section, names)}"
            if section == NAMED
            else f"## [{section}]\n\n{doc(cls)}\n\n{_keys(section, names)}"
            for section, cls in SECTIONS.items()
        ),
    )


def metrics() -> str:
    """Every metric of the server."""
    return page(
        "Metrics",
        "A server publishes these at `http://ADDRESS/metrics`, where ADDRESS is `[server] metrics` "
        "([configuration](configuration.md)): 127.0.0.1:8781 unless it is set, none where it is empty. It is never the "
        "API's address. Nothing is asked of who reads them; they tell names and ids, no secret and no record. The text "
        "is Prometheus's, or OpenMetrics where the client asks for it. The usual `process_…` metrics of the server's "
        "process are there, too.",
        "## The server",
        _metrics(metric_table.SERVER),
        "## Agents",
        "What each agent last reported, so they stand still while it is silent: "
        f"`{metric_table.SEEN.name}` says since when. Counters are kept in the agent's spool, so they go on "
        "after a restart.",
        _metrics(metric_table.REPORTED.values()),
    )


def _metrics(metrics: Iterable[metric_table.Metric]) -> str:
    rows = (
        (f"`{one.name}`", one.kind.value, ", ".join(f"`{label}`" for label in one.labels), one.doc) for one in metrics
    )
    return table(("metric", "kind", "labels", "meaning"), rows)


_TYPES: Final[dict[type, str]] = {str: "text", bool: "true or false", int: "number", tuple: "list of texts"}


def _keys(section: str, names: dict[tuple[str, ...], str]) -> str:
    return table(("key", "value", "default", "variable", "meaning"), _key_rows(section, names))


def _key_rows(section: str, names: dict[tuple[str, ...], str]) -> Iterator[list[Any]]:
    for key, (default, known) in keys(section).items():
        variable = names.get((section, key))
        kind = "path" if known.kind is Kind.PATH else _TYPES[type(default)]
        shown = f"`{json.dumps(default)}`" if default != "" else ""
        yield [f"`{key}`", kind, shown, f"`{variable}`" if variable else "", known.doc]
