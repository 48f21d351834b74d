"""`flowglass keys`: access keys of the API, made and ended on the state itself.

Rule: a secret is printed once, by the command that makes it; nothing prints it again. Standard output has what goes
into a file, standard error what to do with it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flowglass.app.cli.common import AsJson, ConfigFile, DataDir, configured, now_ms, print_table, utc

if TYPE_CHECKING:
    from flowglass.app.config import Config
    from flowglass.app.profile import Profile
    from flowglass.control import KeyRow, Store

app = typer.Typer(
    help="Make, list, disable and replace access keys.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
KeyId = Annotated[str, typer.Argument(metavar="ID", help="Id of the key, as `flowglass keys list` prints it.")]


@app.command("create", epilog="Example: flowglass keys create --name dashboards --read-only --account 123456789012")
def create(
    name: Annotated[str | None, typer.Option(help="Who uses it, for the audit log; default the role.")] = None,
    read_only: Annotated[bool, typer.Option("--read-only", help="Only calls that change nothing.")] = False,
    account: Annotated[str | None, typer.Option(metavar="ID", help="The only account that it sees.")] = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it, with its secret, as a profile of an AWS credentials file."""
    from flowglass.app import profile
    from flowglass.control import Role, keys

    role = Role.READ_ONLY if read_only else Role.ADMIN
    made = configured(data_dir, config)
    found = profile.profile(made.data_dir)
    with _state(made) as store:
        key = keys.create(
            store, role, name=name or role.value, account=account, now_ms=now_ms(), randomness=_randomness()
        )
    _print_secret(key, as_json=as_json)
    if not as_json:
        typer.echo(f"flowglass: clients need Region and endpoint too: {_reach(found)}", err=True)


@app.command("token", epilog="Example: flowglass keys token --name rack-7")
def token(
    name: Annotated[str, typer.Option(help="Who uses it, for the audit log.")] = "agent",
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make a token with which one agent enrols, once, within a day."""
    from flowglass.control import Role, keys

    with _state(configured(data_dir, config)) as store:
        key = keys.create(store, Role.ENROL, name=name, account=None, now_ms=now_ms(), randomness=_randomness())
    text = keys.enrolment_token(key)
    typer.echo(json.dumps({"token": text, **_facts(key)}, indent=2) if as_json else text)
    if not as_json:
        typer.echo(
            "flowglass: give it to the agent as FLOWGLASS_AGENT_TOKEN or [agent] token; it is good for one enrolment "
            "within a day",
            err=True,
        )


@app.command("list", epilog="Example: flowglass keys list")
def list_all(config: ConfigFile = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Print every key, disabled ones too, without secrets."""
    from flowglass.control import keys

    with _state(configured(data_dir, config)) as store:
        found = [_facts(key) for key in keys.list_keys(store)]
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        heads = ("id", "name", "role", "account", "agent", "created", "state")
        print_table(heads, ([facts[head] for head in heads] for facts in found))


@app.command("disable", epilog="Example: flowglass keys disable FGAK234567ABCDEFGHIJ")
def disable(
    key_id: KeyId,
    force: Annotated[bool, typer.Option("--force", help="The last key of an administrator, too.")] = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Disable a key for good; calls with it are refused from then on."""
    from flowglass.control import keys

    with _state(configured(data_dir, config)) as store:
        keys.disable(store, key_id, now_ms=now_ms(), force=force)
    typer.echo(json.dumps({"id": key_id, "state": "disabled"}, indent=2) if as_json else f"disabled {key_id}")


@app.command("rotate", epilog="Example: flowglass keys rotate FGAK234567ABCDEFGHIJ")
def rotate(key_id: KeyId, config: ConfigFile = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Make a key like another one and disable that; the AWS profile in DATA gets the new one if it had the old."""
    from flowglass.app import profile
    from flowglass.control import Role, keys
    from flowglass.fields.errors import OptionError

    made = configured(data_dir, config)
    with _state(made) as store:
        old = next((one for one in keys.list_keys(store) if one.id == key_id), None)
        if old is not None and old.role in (Role.AGENT.value, Role.ENROL.value):
            raise OptionError(f"{key_id} is an agent's: disable it, and enrol the agent anew with flowglass keys token")
        key = keys.rotate(store, key_id, now_ms=now_ms(), randomness=_randomness())
    _print_secret(key, as_json=as_json)
    found = profile.profile(made.data_dir)
    if found is not None and found.key_id == key_id:
        profile.write_key(made.data_dir, key.id, key.secret)
        typer.echo(f"flowglass: {profile.credentials_file(made.data_dir)} has the new key", err=True)


@contextmanager
def _state(config: Config) -> Iterator[Store]:
    """The state, open. Raises StateError where it cannot be reached."""
    from flowglass.app.state import open_state
    from flowglass.control import StoreUnavailable
    from flowglass.data_dir import make_data_dir
    from flowglass.fields.errors import StateError

    make_data_dir(config.data_dir)
    store = open_state(config)
    try:
        yield store
    except StoreUnavailable as error:
        raise StateError(f"{error}; try again when it is back") from None
    finally:
        store.close()


def _randomness() -> bytes:
    import secrets

    from flowglass.control import keys

    return secrets.token_bytes(keys.KEY_RANDOM_BYTES)


def _facts(key: KeyRow) -> dict[str, Any]:
    """What may be told of a key."""
    return {
        "id": key.id,
        "name": key.name,
        "role": key.role,
        "account": key.account,
        "agent": key.agent,
        "created": utc(key.created_ms),
        "state": _key_state(key, now_ms()),
    }


def _key_state(key: KeyRow, at_ms: int) -> str:
    if key.disabled_ms is not None:
        return "disabled"
    if key.used_ms is not None:
        return "used"
    return "expired" if key.expires_ms is not None and key.expires_ms <= at_ms else "enabled"


def _reach(found: Profile | None) -> str:
    """Variables with which a client finds the server, as words of a shell."""
    import shlex

    from flowglass.app import profile

    at = found or profile.Profile(key_id="", region="REGION", url="URL")
    known = {"AWS_DEFAULT_REGION": at.region, **profile.reach(at)}
    return " ".join(f"{name}={shlex.quote(value)}" for name, value in known.items())


def _print_secret(key: KeyRow, *, as_json: bool) -> None:
    """A new key with its secret, and how to use it."""
    from flowglass.app import profile

    if as_json:
        typer.echo(json.dumps({**_facts(key), "secret": key.secret}, indent=2))
    else:
        typer.echo(f"[{key.name}]\n{profile.key_lines(key.id, key.secret)}")
        typer.echo(
            "flowglass: these lines go into an AWS credentials file (AWS_SHARED_CREDENTIALS_FILE); the secret is not "
            "shown again",
            err=True,
        )
