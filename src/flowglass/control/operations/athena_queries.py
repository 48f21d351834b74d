"""The queries that come with an Athena integration: AWS's names, SQL of our own for Athena (Trino).

Rule: a query names fields as log formats do, `${pkt-srcaddr}`, so that what it needs can be read off it; it comes with
a template only if the format has them all. Columns that are null (no traffic, not known) count nowhere. Every order is
total, so that a limit always cuts at the same place.
Names: https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-run-athena-query.html
"""

# ruff: noqa: S608 (the SQL is put together of words of this file alone)

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from flowglass.fields import FIELDS, LogFormat

_FIELD: Final = re.compile(r"\$\{([\w-]+)\}")
_TABLE: Final = "$table"

_ADMIN_PORTS: Final = "22, 23, 3389, 5900, 5985, 5986"
"""SSH, Telnet, RDP, VNC, WinRM (IANA's registry of service names and ports)."""


@dataclass(frozen=True, slots=True)
class NamedQuery:
    """One query. `text`: its SQL, with fields in `${}` and `$table` for the table; `?` is a parameter to fill in."""

    name: str
    description: str
    text: str

    @property
    def fields(self) -> frozenset[str]:
        """The fields that it needs."""
        return frozenset(_FIELD.findall(self.text))

    def sql(self, table: str) -> str:
        """The SQL over a table, given as SQL names it."""
        return _FIELD.sub(lambda field: f'"{FIELDS[field[1]].column}"', self.text).replace(_TABLE, table)


def queries_for(log_format: LogFormat) -> list[NamedQuery]:
    """The queries whose fields the format has."""
    return [query for query in NAMED_QUERIES if query.fields <= set(log_format.names)]


def _connections(condition: str) -> str:
    """Address pairs with ports and their bytes, most first."""
    return f"""\
SELECT ${{srcaddr}}, ${{srcport}}, ${{dstaddr}}, ${{dstport}}, COUNT(*) AS records, SUM(${{bytes}}) AS total_bytes
FROM $table
WHERE {condition}
GROUP BY ${{srcaddr}}, ${{srcport}}, ${{dstaddr}}, ${{dstport}}
ORDER BY total_bytes DESC, ${{srcaddr}}, ${{srcport}}, ${{dstaddr}}, ${{dstport}}
"""


def _total(kind: str) -> str:
    return f"""\
SELECT COALESCE(SUM(${{bytes}}), 0) AS total_bytes
FROM $table
WHERE ${{type}} = '{kind}'
"""


def _ends(source: str, destination: str) -> str:
    """Addresses by the bytes that they sent and got; the table is read once."""
    return f"""\
SELECT address, SUM(${{bytes}}) AS total_bytes
FROM $table
CROSS JOIN UNNEST(ARRAY[${{{source}}}, ${{{destination}}}]) AS ends (address)
WHERE address IS NOT NULL
GROUP BY address
ORDER BY total_bytes DESC, address
LIMIT 50
"""


def _top(fields: str) -> str:
    """What has most bytes, by one or several fields."""
    known = " AND ".join(f"{field} IS NOT NULL" for field in (*fields.split(", "), "${bytes}"))
    return f"""\
SELECT {fields}, SUM(${{bytes}}) AS total_bytes
FROM $table
WHERE {known}
GROUP BY {fields}
ORDER BY total_bytes DESC, {fields}
LIMIT 50
"""


def _with_address(field: str) -> str:
    return f"""\
SELECT ${{srcaddr}}, ${{dstaddr}}, COUNT(*) AS records, SUM(${{bytes}}) AS total_bytes
FROM $table
WHERE ${{{field}}} = ?
GROUP BY ${{srcaddr}}, ${{dstaddr}}
ORDER BY total_bytes DESC, ${{srcaddr}}, ${{dstaddr}}
"""


NAMED_QUERIES: Final[tuple[NamedQuery, ...]] = (
    NamedQuery(
        "VpcFlowLogsAcceptedTraffic",
        "TCP connections that were accepted, by bytes.",
        _connections("${action} = 'ACCEPT' AND ${protocol} = 6"),
    ),
    NamedQuery(
        "VpcFlowLogsAdminPortTraffic",
        "The 10 addresses that exchanged most bytes with administrative ports of others.",
        f"""\
SELECT IF(${{dstport}} IN ({_ADMIN_PORTS}), ${{srcaddr}}, ${{dstaddr}}) AS address, SUM(${{bytes}}) AS total_bytes
FROM $table
WHERE ${{dstport}} IN ({_ADMIN_PORTS}) OR ${{srcport}} IN ({_ADMIN_PORTS})
GROUP BY IF(${{dstport}} IN ({_ADMIN_PORTS}), ${{srcaddr}}, ${{dstaddr}})
ORDER BY total_bytes DESC, address
LIMIT 10
""",
    ),
    NamedQuery("VpcFlowLogsIPv4Traffic", "Bytes of all IPv4 traffic.", _total("IPv4")),
    NamedQuery("VpcFlowLogsIPv6Traffic", "Bytes of all IPv6 traffic.", _total("IPv6")),
    NamedQuery(
        "VpcFlowLogsRejectedTCPTraffic",
        "TCP connections that were rejected, by bytes.",
        _connections("${action} = 'REJECT' AND ${protocol} = 6"),
    ),
    NamedQuery("VpcFlowLogsRejectedTraffic", "All that was rejected, by bytes.", _connections("${action} = 'REJECT'")),
    NamedQuery(
        "VpcFlowLogsSshRdpTraffic",
        "SSH and RDP connections, both ways, by bytes.",
        _connections("${protocol} = 6 AND (${dstport} IN (22, 3389) OR ${srcport} IN (22, 3389))"),
    ),
    NamedQuery("VpcFlowLogsTopTalkers", "The 50 addresses that sent and got most bytes.", _ends("srcaddr", "dstaddr")),
    NamedQuery(
        "VpcFlowLogsTopTalkersPacketLevel",
        "The 50 addresses in packets' headers that sent and got most bytes.",
        _ends("pkt-srcaddr", "pkt-dstaddr"),
    ),
    NamedQuery("VpcFlowLogsTopTalkingInstances", "The 50 instances with most bytes.", _top("${instance-id}")),
    NamedQuery("VpcFlowLogsTopTalkingSubnets", "The 50 subnets with most bytes.", _top("${subnet-id}")),
    NamedQuery(
        "VpcFlowLogsTopTCPTraffic",
        "TCP bytes of every source address, most first.",
        """\
SELECT ${srcaddr}, COUNT(*) AS records, SUM(${bytes}) AS total_bytes
FROM $table
WHERE ${protocol} = 6
GROUP BY ${srcaddr}
ORDER BY total_bytes DESC, ${srcaddr}
""",
    ),
    NamedQuery(
        "VpcFlowLogsTotalBytesTransferred",
        "The 50 pairs of source and destination with most bytes.",
        _top("${srcaddr}, ${dstaddr}"),
    ),
    NamedQuery(
        "VpcFlowLogsTotalBytesTransferredPacketLevel",
        "The 50 pairs of source and destination in packets' headers with most bytes.",
        _top("${pkt-srcaddr}, ${pkt-dstaddr}"),
    ),
    NamedQuery(
        "VpcFlowLogsTrafficFrmSrcAddr",
        "Traffic of one source address, which the parameter is.",
        _with_address("srcaddr"),
    ),
    NamedQuery(
        "VpcFlowLogsTrafficToDstAddr",
        "Traffic to one destination address, which the parameter is.",
        _with_address("dstaddr"),
    ),
)
"""The 16 queries, in AWS's order."""
