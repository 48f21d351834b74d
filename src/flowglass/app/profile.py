"""The AWS profile of a server: DATA/aws/{config,credentials}, as AWS's programs read them, and an environment for them.

Rule: only EC2 and STS are pointed at us, by a section of services; what a user does with other services is untouched.
Both files are readable by their owner alone. Forms: https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html
and https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html
"""

from __future__ import annotations

import configparser
from pathlib import Path
from typing import Final, NamedTuple

from flowglass.app.private_file import write_private
from flowglass.fields.errors import ConfigError

NAME: Final = "flowglass"
"""The profile's name, and that of its section of services."""
SERVICES: Final = ("ec2", "sts")
"""Services that the server answers, as AWS names them."""
UNSET: Final = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_DEFAULT_PROFILE",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_USE_FIPS_ENDPOINT",
    "AWS_USE_DUALSTACK_ENDPOINT",
)
"""Variables that would win over the profile, or forbid an endpoint of one's own."""
_FOLDER: Final = "aws"


class Profile(NamedTuple):
    """What the files say, but for the secret. `ca_bundle`: the authority to trust, "" for those of the machine."""

    key_id: str
    region: str
    url: str
    ca_bundle: str = ""


def config_file(data_dir: Path) -> Path:
    """The file with Region and endpoints."""
    return data_dir / _FOLDER / "config"


def credentials_file(data_dir: Path) -> Path:
    """The file with the key."""
    return data_dir / _FOLDER / "credentials"


def write(data_dir: Path, key_id: str, secret: str, region: str, url: str, *, ca_bundle: str = "") -> None:
    """Write both files, each whole or not at all. Raises DestinationUnwritable."""
    own_ca = [f"ca_bundle = {ca_bundle}"] if ca_bundle else []
    lines = [f"[profile {NAME}]", f"region = {region}", f"services = {NAME}", *own_ca, "", f"[services {NAME}]"]
    for service in SERVICES:
        lines += [f"{service} =", f"  endpoint_url = {url}"]
    write_private(config_file(data_dir), ("\n".join(lines) + "\n").encode())
    write_key(data_dir, key_id, secret)


def write_key(data_dir: Path, key_id: str, secret: str) -> None:
    """Put another key in place of the profile's. Raises DestinationUnwritable."""
    write_private(credentials_file(data_dir), f"[{NAME}]\n{key_lines(key_id, secret)}\n".encode())


def key_lines(key_id: str, secret: str) -> str:
    """A key as two lines of a file of credentials."""
    return f"aws_access_key_id = {key_id}\naws_secret_access_key = {secret}"


def profile(data_dir: Path) -> Profile | None:
    """What the files say; None where there are none. Raises ConfigError where they are not of this form."""
    config, credentials = (configparser.ConfigParser(interpolation=None) for _ in range(2))
    try:
        config.read_string(config_file(data_dir).read_text(encoding="utf-8"))
        credentials.read_string(credentials_file(data_dir).read_text(encoding="utf-8"))
        section = config[f"profile {NAME}"]
        _, _, url = config[f"services {NAME}"][SERVICES[0]].strip().partition(" = ")
        return Profile(
            credentials[NAME]["aws_access_key_id"], section["region"], url, section.get("ca_bundle", fallback="")
        )
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{error.filename}: {error.strerror}; check its permissions") from None
    except (configparser.Error, KeyError, UnicodeDecodeError):
        folder = config_file(data_dir).parent
        raise ConfigError(f"{folder}: no profile as `flowglass up` writes it; remove it and start it again") from None


def needed_profile(data_dir: Path) -> Profile:
    """The profile. Raises ConfigError where there is none yet, or none that can be read."""
    found = profile(data_dir)
    if found is None:
        raise ConfigError(f"{data_dir}: no server was started here; start it first: flowglass up")
    return found


def variables(data_dir: Path, found: Profile) -> dict[str, str]:
    """What to set for AWS's programs; what to unset is UNSET."""
    return {
        "AWS_CONFIG_FILE": str(config_file(data_dir)),
        "AWS_SHARED_CREDENTIALS_FILE": str(credentials_file(data_dir)),
        "AWS_PROFILE": NAME,
        **reach(found),
    }


def reach(found: Profile) -> dict[str, str]:
    """The variables that point a client of any key at the server; the Region is not among them."""
    own_ca = {"AWS_CA_BUNDLE": found.ca_bundle} if found.ca_bundle else {}
    return {f"AWS_ENDPOINT_URL_{service.upper()}": found.url for service in SERVICES} | own_ca
