"""What can be configured: one frozen dataclass a section, one field a key, with default, meaning and rule.

Rule: nothing else lists a section, a key or a default: reading, `config show` and the reference page follow this file.
A secret is left out of `repr` and shown as stars.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from flowglass.app.config import rules


@enum.unique
class Kind(enum.Enum):
    """How a value is read and shown, beside its type."""

    PLAIN = "plain"
    PATH = "path"
    """a path: relative ones are taken from the file's folder, or from where the command runs"""
    SECRET = "secret"  # noqa: S105, a kind's name
    """shown as stars"""
    URL_WITH_PASSWORD = "url with password"  # noqa: S105, as above
    """shown with stars for its password"""


@dataclass(frozen=True, slots=True)
class Setting:
    """What is known of a key: its meaning, its rule and its kind."""

    doc: str
    check: rules.Check
    kind: Kind


def setting(default: Any, doc: str, check: rules.Check = rules.anything, kind: Kind = Kind.PLAIN) -> Any:
    """A key of a section."""
    shown = kind in (Kind.PLAIN, Kind.PATH)
    return dataclasses.field(default=default, repr=shown, metadata={"setting": Setting(doc, check, kind)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """The API and its state."""

    listen: str = setting(
        "127.0.0.1:8780",
        "Address and port of the API; port 0 takes a free one. Any other address than this machine's needs "
        "`tls_certificate` and `tls_key`.",
        rules.listen,
    )
    state: str = setting(
        "",
        "Database of the state: `postgresql://USER:PASSWORD@HOST/DATABASE` or `sqlite:///FILE`. Empty: SQLite in "
        "DATA/state.db.",
        rules.optional(rules.state),
        Kind.URL_WITH_PASSWORD,
    )
    tls_certificate: str = setting("", "File with the certificate of the API and its chain, in PEM.", kind=Kind.PATH)
    tls_key: str = setting("", "File with the certificate's private key, in PEM.", kind=Kind.PATH)
    account: str = setting(
        "",
        "Account that callers are in whose key is bound to none. Empty: the inventory's.",
        rules.optional(rules.account),
    )
    region: str = setting(
        "", "Region of the AWS profile that the server writes. Empty: the inventory's.", rules.optional(rules.region)
    )
    url: str = setting(
        "",
        "How clients reach the API, where that is not `listen`, as behind a proxy or a host name.",
        rules.optional(rules.server_url),
    )
    metrics: str = setting(
        "127.0.0.1:8781",
        "Address and port of the metrics, for Prometheus, at /metrics; never the API's own. Any other address than "
        "this machine's needs `tls_certificate` and `tls_key`, which then serve here, too. Empty: none.",
        rules.optional(rules.listen),
    )

    @property
    def host(self) -> str:
        """The host of `listen`, IPv6 without brackets."""
        return rules.split_listen(self.listen)[0]

    @property
    def port(self) -> int:
        """The port of `listen`, 0 for a free one."""
        return rules.split_listen(self.listen)[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """Capture and delivery, as a client of a server."""

    server: str = setting("", "URL of the server's API.", rules.optional(rules.server_url))
    name: str = setting("", "Name of the agent. Empty: the host's name.")
    token: str = setting("", "One-time token of `flowglass keys token`, for the first start only.", kind=Kind.SECRET)
    inventory: str = setting("", "Inventory file: who owns which address.", kind=Kind.PATH)
    poll_s: int = setting(5, "Seconds between two looks at the flow logs of the server.", rules.number(1, 3600))
    tls_ca: str = setting(
        "", "File with the certificate authority to trust, in PEM. Empty: those of this machine.", kind=Kind.PATH
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """What is recorded."""

    watch: str = setting(
        "",
        "Folder whose captures are recorded as they arrive. Empty: none, but DATA/captures with `flowglass up`.",
        kind=Kind.PATH,
    )
    assume_accept: bool = setting(default=False, doc="Record ACCEPT where nothing judged, and say so.")
    max_flows: int = setting(10_000_000, "Flows held in memory at once.", rules.number(1, 1_000_000_000))


@dataclass(frozen=True, slots=True, kw_only=True)
class Destinations:
    """Where flow logs may deliver."""

    allow: tuple[str, ...] = setting(
        ("local",),
        "Destinations that a flow log may name: `local` for all that the local store serves, else ARNs, in which `*` "
        "stands for any text.",
    )


_ENDPOINT: Final = "`aws` for AWS's own, or the URL of another one that speaks its language. Empty: the local store."
_PROFILE: Final = (
    "Profile of AWS's files with the credentials. Empty: AWS's ordinary chain (variables, files, role of the machine)."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """A bucket of a real S3 service, by its name. Without `endpoint` it is in the local store."""

    endpoint: str = setting("", f"The S3 service that has the bucket: {_ENDPOINT}", rules.optional(rules.endpoint))
    region: str = setting("", "The bucket's Region. Empty: AWS's ordinary chain.", rules.optional(rules.region))
    profile: str = setting("", _PROFILE)
    kms_key: str = setting(
        "",
        "ARN of the customer managed KMS key that objects are encrypted with (SSE-KMS). Empty: the bucket's default.",
        rules.optional(rules.kms_key),
    )
    bucket_key: bool = setting(
        default=False, doc="Use an S3 bucket key, which asks KMS less often; for objects under `kms_key`."
    )
    acl: str = setting(
        "bucket-owner-full-control",
        "Canned ACL of objects; empty for none, where the service knows no ACLs.",
        rules.optional(rules.one_of("bucket-owner-full-control", "bucket-owner-read", "private")),
    )
    addressing: str = setting(
        "auto",
        "`path` for URL/BUCKET, `virtual` for a host name a bucket, `auto` for what fits the endpoint.",
        rules.one_of("auto", "path", "virtual"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudWatchLogs:
    """The CloudWatch Logs service of flow logs to log groups. Without `endpoint` groups are in the local store."""

    endpoint: str = setting("", f"The service: {_ENDPOINT}", rules.optional(rules.endpoint))
    region: str = setting("", "The groups' Region. Empty: the flow log's.", rules.optional(rules.region))
    profile: str = setting("", _PROFILE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Firehose:
    """The Firehose service of flow logs to delivery streams. Without `endpoint` streams are in the local store."""

    endpoint: str = setting("", f"The service: {_ENDPOINT}", rules.optional(rules.endpoint))
    region: str = setting(
        "", "The streams' Region. Empty: the destination's or the flow log's.", rules.optional(rules.region)
    )
    profile: str = setting("", _PROFILE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spool:
    """What waits on the agent's disk until its destination has it."""

    max_megabytes: int = setting(
        10_000,
        "Megabytes (10^6 bytes) that may wait; beyond, the oldest records are given up, counted, and marked SKIPDATA. "
        "0: no bound.",
        rules.number(0, 1_000_000_000),
    )
    max_age_hours: int = setting(
        168, "Hours that records may wait before they are given up the same way. 0: no bound.", rules.number(0, 87_600)
    )
    workers: int = setting(2, "Units that are delivered at once.", rules.number(1, 64))


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalStore:
    """Objects, log groups and delivery streams below DATA."""

    retention_days: int = setting(0, "Days after which objects are removed. 0: they stay.", rules.number(0, 36_500))
    max_megabytes: int = setting(
        0,
        "Megabytes (10^6 bytes) beyond which the oldest objects are removed. 0: no bound.",
        rules.number(0, 1_000_000_000),
    )
    min_free_megabytes: int = setting(
        512,
        "Megabytes (10^6 bytes) that stay free on the disk: with less, delivery to the local store pauses, and records "
        "wait in the spool.",
        rules.number(0, 1_000_000_000),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """What the processes say on standard error."""

    level: str = setting("info", "The least that is said.", rules.one_of("debug", "info", "warning", "error"))
    format: str = setting(
        "auto",
        "`text` for people, `json` a line an event, `auto` text on a terminal and JSON elsewhere.",
        rules.one_of("auto", "json", "text"),
    )


SECTIONS: Final[dict[str, type[Any]]] = {
    "server": Server,
    "agent": Agent,
    "capture": Capture,
    "destinations": Destinations,
    "buckets": Bucket,
    "cloudwatch_logs": CloudWatchLogs,
    "firehose": Firehose,
    "spool": Spool,
    "local_store": LocalStore,
    "log": Log,
}
"""The sections by name; `buckets` has one more level, the bucket's name."""

NAMED: Final = "buckets"
"""The section of which there is one a name."""


def keys(section: str) -> dict[str, tuple[Any, Setting]]:
    """(default, setting) of every key of a section, in order."""
    fields = dataclasses.fields(SECTIONS[section])
    return {field.name: (field.default, field.metadata["setting"]) for field in fields}


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All of it. `origins`: where each value is from, by `section.key` or `buckets.NAME.key`."""

    data_dir: Path
    server: Server
    agent: Agent
    capture: Capture
    destinations: Destinations
    buckets: Mapping[str, Bucket]
    cloudwatch_logs: CloudWatchLogs
    firehose: Firehose
    spool: Spool
    local_store: LocalStore
    log: Log
    origins: Mapping[str, str]

    @property
    def state_url(self) -> str:
        """The URL of the state, with its password."""
        return self.server.state or f"sqlite:///{self.data_dir / 'state.db'}"
