"""The configuration: a TOML file, overridden by the environment, overridden by flags.

Rule: a configuration is right or it does not exist; ConfigError has every fault, a line each.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from flowglass.app.config import rules, sources
from flowglass.app.config.model import (
    NAMED,
    SECTIONS,
    Agent,
    Bucket,
    Capture,
    CloudWatchLogs,
    Config,
    Destinations,
    Firehose,
    Kind,
    LocalStore,
    Log,
    Server,
    Setting,
    Spool,
    keys,
)
from flowglass.app.config.sources import Given, KeyPath, variables
from flowglass.fields.errors import ConfigError

FILE: Final = "config.toml"
"""The file's name in DATA."""
DEFAULT: Final = "default"
"""The origin of what nothing sets."""
_SERVICES: Final = (NAMED, "cloudwatch_logs", "firehose")
"""Sections of real services, whose keys mean something with an endpoint only."""


def load_config(
    data_dir: Path,
    *,
    config_file: Path | None = None,
    environ: Mapping[str, str],
    flags: Mapping[str, object] | None = None,
) -> Config:
    """The configuration of DATA: `config_file`, or DATA/config.toml where that is there; `environ`; `flags`.

    `flags`: by `section.key`, None where not given. Raises ConfigError with every fault.
    """
    given, faults = _read(data_dir, config_file, environ, flags)
    if faults:
        raise ConfigError("\n".join(faults))
    paths = [(section, key) for section in SECTIONS if section != NAMED for key in keys(section)]
    origins = dict.fromkeys(paths, DEFAULT) | {path: value.origin for path, value in given.items()}
    made = {section: _made((section,), given) for section in SECTIONS if section != NAMED}
    buckets = {path[1]: _made(path[:2], given) for path in given if path[0] == NAMED}
    return Config(
        data_dir=data_dir,
        **made,
        buckets=buckets,
        origins={".".join(path): origin for path, origin in origins.items()},
    )


def all_faults(
    data_dir: Path,
    *,
    config_file: Path | None = None,
    environ: Mapping[str, str],
    flags: Mapping[str, object] | None = None,
) -> list[str]:
    """Every fault that `load_config` would raise, and files that are named and cannot be read, a line each."""
    given, faults = _read(data_dir, config_file, environ, flags)
    return [*faults, *_missing_files(given)]


def _read(
    data_dir: Path, config_file: Path | None, environ: Mapping[str, str], flags: Mapping[str, object] | None
) -> tuple[dict[KeyPath, Given], list[str]]:
    """What every source gives, the stronger one winning, and every fault."""
    read = [
        sources.from_file(config_file or data_dir / FILE, required=config_file is not None),
        sources.from_environment(environ),
        sources.from_flags(flags or {}),
    ]
    given = {path: value for source in read for path, value in source.values.items()}
    wrong = {path for source in read for path in source.wrong}
    return given, [*(fault for source in read for fault in source.faults), *_together(given, wrong)]


def _made(at: KeyPath, given: Mapping[KeyPath, Given]) -> Any:
    """A section's dataclass from what is given below it."""
    return SECTIONS[at[0]](**{path[-1]: value.value for path, value in given.items() if path[:-1] == at})


def _together(given: Mapping[KeyPath, Given], wrong: Collection[KeyPath]) -> Iterator[str]:
    """What is wrong with values that are right each by itself; `wrong`: keys that are set, and not right."""
    tls = [given.get(("server", key)) for key in ("tls_certificate", "tls_key")]
    has = [value is not None and bool(value.value) for value in tls]
    if has[0] != has[1]:
        there = tls[0] if has[0] else tls[1]
        names = ("tls_certificate", "tls_key") if has[0] else ("tls_key", "tls_certificate")
        yield f"{there.origin if there else ''}: [server] {names[0]}: needs {names[1]} too"
    for key in ("listen", "metrics"):
        listen = given.get(("server", key))
        if listen is None or not listen.value or any(has):
            continue
        if not rules.is_loopback(rules.split_listen(listen.value)[0]):
            yield (
                f"{listen.origin}: [server] {key} = {listen.value!r}: others can reach this address, so it needs TLS; "
                "set tls_certificate and tls_key"
            )
    yield from _without_endpoint(given, wrong)


def _without_endpoint(given: Mapping[KeyPath, Given], wrong: Collection[KeyPath]) -> Iterator[str]:
    """Keys that would do nothing, since what they belong to is not set."""
    for path, value in given.items():
        needed = "kms_key" if path[-1] == "bucket_key" else "endpoint"
        if path[0] not in _SERVICES or path[-1] == "endpoint" or not value.value:
            continue
        needs = (*path[:-1], needed)
        other = given.get(needs)
        if needs not in wrong and (other is None or not other.value):
            yield f"{value.origin}: [{'.'.join(path[:-1])}] {path[-1]}: needs {needed} too"


def _missing_files(given: Mapping[KeyPath, Given]) -> Iterator[str]:
    """Files that are named and cannot be read; what is to be made is not among them."""
    for path, value in given.items():
        section, key = path[0], path[-1]
        if keys(section)[key][1].kind is not Kind.PATH or (section, key) == ("capture", "watch"):
            continue
        try:
            if value.value:
                Path(value.value).open("rb").close()
        except OSError as error:
            yield f"{value.origin}: [{section}] {key} = {value.value!r}: {error.strerror}; check the path"


def shown(config: Config) -> Iterator[tuple[str, str, Any, str]]:
    """(section, key, value, origin) of every key in order, secrets as stars."""
    for section in SECTIONS:
        named = [f"{section}.{name}" for name in config.buckets] if section == NAMED else [section]
        for at in named:
            owner = config.buckets[at.removeprefix(f"{NAMED}.")] if section == NAMED else getattr(config, section)
            for key, (_, known) in keys(section).items():
                yield at, key, _without_secret(getattr(owner, key), known), config.origins.get(f"{at}.{key}", DEFAULT)


def _without_secret(value: Any, known: Setting) -> Any:
    if known.kind is Kind.SECRET:
        return rules.STARS if value else ""
    if known.kind is Kind.URL_WITH_PASSWORD:
        return rules.without_password(value)
    return list(value) if isinstance(value, tuple) else value


__all__ = [
    "DEFAULT",
    "FILE",
    "NAMED",
    "SECTIONS",
    "Agent",
    "Bucket",
    "Capture",
    "CloudWatchLogs",
    "Config",
    "Destinations",
    "Firehose",
    "Kind",
    "LocalStore",
    "Log",
    "Server",
    "Setting",
    "Spool",
    "all_faults",
    "keys",
    "load_config",
    "shown",
    "variables",
]
