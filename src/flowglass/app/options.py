"""What `record` is asked to do: its options, checked, and the flow log that they stand for.

Rule: everything that can be wrong with the options is found before a byte is written.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from flowglass.aggregate import DEFAULT_MAX_FLOWS
from flowglass.fields import LogFormat, named_format
from flowglass.fields.contracts import FileFormat, FlowLog, TrafficType, Verdict
from flowglass.fields.errors import OptionError
from flowglass.fields.table import TAG_RESOURCES

NO_ACCOUNT: Final = "000000000000"
NO_REGION: Final = "local-1"
INTERVALS: Final = (60, 600)
MOST_FLOWS: Final = 1_000_000_000
_ACCOUNT: Final = re.compile(r"[0-9]{12}")
_REGION: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
CODECS: Final = ("zstd", "gzip")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordOptions:
    """Options of one `record`. Raises LogFormatError or OptionError when it is made.

    `log_format`: `default`, `all` or a format string; `interval_s`: 60 or 600; `account`, `region`: instead of the
    inventory's; `nflog_verdicts`: `VERDICT=PREFIX`; `tag_keys`: `RESOURCE=KEY[,KEY]` for the tag fields.
    """

    log_format: str = "default"
    interval_s: int = 60
    file_format: FileFormat = FileFormat.PLAIN_TEXT
    parquet_codec: str = "zstd"
    hive: bool = False
    per_hour: bool = False
    account: str | None = None
    region: str | None = None
    traffic_type: TrafficType = TrafficType.ALL
    assume_accept: bool = False
    nflog_verdicts: tuple[str, ...] = ()
    tag_keys: tuple[str, ...] = ()
    max_flows: int = DEFAULT_MAX_FLOWS
    columns: LogFormat = field(init=False)
    nflog_rules: Any = field(init=False)

    def __post_init__(self) -> None:
        if type(self.interval_s) is not int or self.interval_s not in INTERVALS:
            raise OptionError(f"--interval {self.interval_s}: must be 60 or 600 seconds")
        if type(self.max_flows) is not int or not 1 <= self.max_flows <= MOST_FLOWS:
            raise OptionError(f"--max-flows {self.max_flows}: is 1 to {MOST_FLOWS}")
        if self.parquet_codec not in CODECS:
            raise OptionError(f"--parquet-codec {self.parquet_codec}: is one of {', '.join(CODECS)}")
        if self.account is not None and not (isinstance(self.account, str) and _ACCOUNT.fullmatch(self.account)):
            raise OptionError(f"--account {self.account}: an account is 12 digits")
        if self.region is not None and not (isinstance(self.region, str) and _REGION.fullmatch(self.region)):
            raise OptionError(f"--region {self.region}: a region is lower-case letters, digits and single hyphens")
        object.__setattr__(self, "columns", named_format(self.log_format, _tag_keys(self.tag_keys)))
        if self.tag_keys and not any(column.field.tag_of for column in self.columns.columns):
            raise OptionError(f"--tag-keys {self.tag_keys[0]}: the log format has no tag field; add one with --format")
        if self.parquet_codec != CODECS[0] and self.file_format is not FileFormat.PARQUET:
            raise OptionError(f"--parquet-codec {self.parquet_codec}: needs --file-format parquet")
        object.__setattr__(self, "nflog_rules", _nflog_rules(self.nflog_verdicts))

    def place(self) -> tuple[str, str]:
        """Account and region of interfaces that no inventory describes."""
        return self.account or NO_ACCOUNT, self.region or NO_REGION

    def flow_log(self, account: str, region: str) -> FlowLog:
        """The flow log of this account and region; its id is derived from everything that shapes its objects."""
        shape = [
            *(column.label for column in self.columns.columns),
            str(self.interval_s),
            self.file_format.value,
            self.parquet_codec if self.file_format is FileFormat.PARQUET else "",
            f"{self.hive} {self.per_hour} {self.assume_accept}",
            self.traffic_type.value,
            account,
            region,
        ]
        return FlowLog(
            id="fl-" + hashlib.sha256("\n".join(shape).encode()).hexdigest()[:17],
            account=account,
            region=region,
            log_format=self.columns,
            traffic_type=self.traffic_type,
            interval_s=self.interval_s,
            file_format=self.file_format,
            hive=self.hive,
            per_hour=self.per_hour,
            parquet_codec=self.parquet_codec,
        )


def _tag_keys(texts: Sequence[str]) -> Mapping[str, Sequence[str]]:
    keys: dict[str, list[str]] = {}
    for text in texts:
        resource, _, names = text.partition("=")
        if resource not in TAG_RESOURCES or not names:
            raise OptionError(
                f"--tag-keys {text}: is RESOURCE=KEY or RESOURCE=KEY,KEY with one of {', '.join(TAG_RESOURCES)}"
            )
        keys.setdefault(resource, []).extend(name for name in names.split(",") if name)
        if len(keys[resource]) > 2:
            raise OptionError(f"--tag-keys {text}: at most two keys of {resource}, as at AWS")
    return keys


def _nflog_rules(texts: Sequence[str]) -> Any:
    """(m, 2 + longest) uint8: verdict, length of the prefix, its bytes."""
    rules: list[tuple[int, bytes]] = []
    for text in texts:
        verdict, _, prefix = text.partition("=")
        if verdict not in ("ACCEPT", "REJECT") or not prefix or len(prefix.encode()) > 127:
            raise OptionError(f"--nflog-verdict {text}: is ACCEPT=PREFIX or REJECT=PREFIX, as the firewall logs it")
        rules.append((int(Verdict[verdict]), prefix.encode()))
    table = np.zeros((len(rules), 2 + max((len(prefix) for _, prefix in rules), default=0)), np.uint8)
    for row, (verdict_number, prefix_bytes) in enumerate(rules):
        table[row, 0] = verdict_number
        table[row, 1] = len(prefix_bytes)
        table[row, 2 : 2 + len(prefix_bytes)] = np.frombuffer(prefix_bytes, np.uint8)
    return table
