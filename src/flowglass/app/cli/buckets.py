"""`flowglass buckets`: buckets of the local store, which stands in for S3 where no endpoint is configured.

Rule: they work on DATA, with or without a server.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flowglass.app.cli.common import AsJson, DataDir, now_ms, print_table, utc

if TYPE_CHECKING:
    from flowglass.deliver import LocalStore

app = typer.Typer(
    help="Make and list buckets of the local store, and change their policies.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
Name = Annotated[str, typer.Argument(metavar="NAME", help="The bucket's name.")]
POLICY_EXAMPLES = "Examples: flowglass buckets policy team-logs · flowglass buckets policy team-logs --file policy.json"
_MOST_BYTES = 1 << 20


@app.command("create", epilog="Example: flowglass buckets create team-logs")
def create(name: Name, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Make a bucket, to which flow logs can deliver as arn:aws:s3:::NAME."""
    from flowglass.data_dir import data_dir as folder
    from flowglass.data_dir import make_data_dir

    make_data_dir(folder(data_dir))
    at_ms = now_ms()
    _store(data_dir).create_bucket(name, at_ms)
    arn = f"arn:aws:s3:::{name}"
    facts = {"name": name, "arn": arn, "created": utc(at_ms)}
    typer.echo(json.dumps(facts, indent=2) if as_json else f"made {arn}")


@app.command("list", epilog="Example: flowglass buckets list")
def list_all(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Print every bucket with its objects and bytes."""
    found = [
        {"name": one.name, "objects": one.objects, "bytes": one.size_bytes, "created": utc(one.created_ms)}
        for one in _store(data_dir).list_buckets()
    ]
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        print_table(("name", "objects", "bytes", "created"), (one.values() for one in found))


@app.command("policy", epilog=POLICY_EXAMPLES)
def policy(
    name: Name,
    file: Annotated[str | None, typer.Option(metavar="FILE", help="Policy to put in place of the bucket's.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Print a bucket's policy, or put another one in its place."""
    from flowglass.fields.errors import OptionError

    store = _store(data_dir)
    if file is not None:
        store.put_policy(name, _document(file))
    bucket = store.bucket(name)
    if bucket is None:
        raise OptionError(f"bucket {name!r}: it does not exist; `flowglass buckets list` prints those that do")
    if bucket.policy is None and not as_json:
        typer.echo(f"bucket {name} has no policy")
    else:
        typer.echo(json.dumps(bucket.policy, indent=2))


def _store(data_dir: str | None) -> LocalStore:
    from flowglass.data_dir import data_dir as folder
    from flowglass.deliver import LocalStore

    return LocalStore(folder(data_dir))


def _document(file: str) -> dict[str, Any]:
    """The JSON object in a file. Raises OptionError where there is none."""
    from flowglass.fields.errors import OptionError

    try:
        with Path(file).open("rb") as opened:
            document = json.loads(opened.read(_MOST_BYTES))
    except OSError as error:
        raise OptionError(f"{file}: {error.strerror}; check the path") from None
    except (ValueError, RecursionError) as error:
        raise OptionError(f"{file}: not JSON: {error}") from None
    if not isinstance(document, dict):
        raise OptionError(f"{file}: not a policy: it is an object with Version and Statement")
    return document
