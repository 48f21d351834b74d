"""Everything around the process under test: real servers behind proxies, credentials, and one run after the other.

Rule: a run has a folder, an oracle and buckets of its own; the servers are shared.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.crash.arrived import Store
from tests.crash.cycle import Forge, Life
from tests.crash.oracle import Judgement, Oracle
from tests.crash.proxy import Fault, Proxy
from tests.crash.traffic import ACCOUNT, BUCKET, REGION, STREAM
from tests.support.services import Moto, SeaweedFS

_AGO_S: Final = 4 * 86_400
"""How long ago the sources begin: log services take what is no older than two weeks."""


class World:
    """Servers, proxies and credentials. `seed`: of what the proxies do. Raises NotInstalled."""

    def __init__(self, seed: int) -> None:
        with ExitStack() as undo:
            self.folder = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="flowglass-crash-")))
            self.weed = SeaweedFS()
            undo.callback(self.weed.close)
            self.moto = Moto()
            undo.callback(self.moto.close)
            self.s3, self.firehose = Proxy(self.weed.port, seed), Proxy(self.moto.port, seed)
            undo.callback(self.s3.close)
            undo.callback(self.firehose.close)
            self._set_up()
            self.forge = undo.enter_context(Forge(self.folder / "log", self.environment))
            self._undo = undo.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._undo.close()

    def _set_up(self) -> None:
        self.weed.make_bucket(BUCKET)
        self.weed.allow_writer(BUCKET)
        bucket = self.moto.client("s3")
        bucket.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        self.moto.client("firehose").create_delivery_stream(
            DeliveryStreamName=STREAM,
            S3DestinationConfiguration={
                "RoleARN": f"arn:aws:iam::{ACCOUNT}:role/delivery",
                "BucketARN": f"arn:aws:s3:::{BUCKET}",
            },
        )
        keys = {"s3": self.weed.writer, "firehose": self.moto.key}
        (self.folder / "credentials").write_text(
            "".join(
                f"[{name}]\naws_access_key_id = {key.id}\naws_secret_access_key = {key.secret}\n"
                for name, key in keys.items()
            )
        )
        (self.folder / "config").write_text("".join(f"[profile {name}]\nregion = {REGION}\n" for name in keys))

    @property
    def environment(self) -> dict[str, str]:
        """What lives need to find their credentials."""
        return {
            "AWS_SHARED_CREDENTIALS_FILE": str(self.folder / "credentials"),
            "AWS_CONFIG_FILE": str(self.folder / "config"),
        }

    def set_faults(self, *faults: Fault) -> None:
        """What the proxies choose from, from now on; nothing for no faults."""
        for proxy in (self.s3, self.firehose):
            proxy.faults = faults or (Fault.NONE,)

    def store(self, data: Path) -> Store:
        """The destinations of a run, read past the proxies."""
        return Store(data, self.weed.client(), self.moto.client("s3"))


class Run:
    """Lives on one spool, one after the other. `data`: DATA, in `folder` by default; `spool`: its folder, in DATA by
    default; `forge`: where lives come from.
    """

    def __init__(
        self,
        world: World,
        folder: Path,
        *,
        data: Path | None = None,
        spool: Path | None = None,
        forge: Forge | None = None,
    ) -> None:
        self.kills = 0
        self.data = data or folder / "data"
        folder.mkdir(parents=True, exist_ok=True)
        self._world = world
        now_s = time.time()
        base_s = (int(now_s) - _AGO_S) // 600 * 600
        self.oracle = Oracle(base_s)
        self._life = Life(
            data=str(self.data),
            spool=str(spool or self.data / "spool"),
            s3=world.s3.url,
            firehose=world.firehose.url,
            base_s=base_s,
            epoch_s=now_s,
        )
        self._forge = forge or world.forge
        self._store = world.store(self.data)
        self._store.empty()
        world.set_faults()

    def kill(
        self,
        *,
        step: str = "",
        count: int = 1,
        after_s: float | None = None,
        during: Callable[[], None] = lambda: None,
        max_bytes: int = 10_000_000_000,
    ) -> None:
        """One life that is killed: after some seconds, or by its own hand after a step."""
        life = replace(self._life, first=self.oracle.first_open, step=step, count=count, max_bytes=max_bytes)
        assert self._forge.live(life, self.oracle, kill_after_s=after_s, during=during)
        self.kills += 1

    def kill_unless_done(self, *, step: str) -> None:
        """One life that records nothing and delivers what waits; it is killed after a step, if it comes to that."""
        first = self.oracle.first_open
        self.kills += self._forge.live(replace(self._life, first=first, last=first - 1, step=step), self.oracle)

    def finish(self) -> None:
        """A life without faults: it goes on to the last source that was begun, and delivers everything."""
        self._world.set_faults()
        last = self.oracle.last + 1
        self._forge.live(replace(self._life, first=self.oracle.first_open, last=last, pause_s=0.0), self.oracle)
        folders = (Path(self._life.spool) / name for name in ("segments", "staged", "damaged"))
        self.oracle.wrong += [f"{path} is left" for folder in folders for path in folder.iterdir()]

    def judge(self) -> Judgement:
        """What is wrong now."""
        judgement = self.oracle.judge(self._store.read())
        judgement.wrong += self._manifest_faults(unnamed=self.kills if judgement.dropped else 0)
        return judgement

    def _manifest_faults(self, *, unnamed: int) -> list[str]:
        """Manifests name each object exactly once, and nothing else; but `unnamed` objects may be in none.

        Those are objects that arrived just before a kill and that the next life gave up, as it could not know.
        """
        named = Counter(
            json.loads(line)["sha256"]
            for path in (Path(self._life.spool).parent / "manifests").rglob("*.jsonl")
            for line in path.read_bytes().splitlines()
        )
        there = Counter(self._store.digests())
        missing, more = (named - there).total(), (there - named).total()
        wrong = [f"manifests name {missing} objects that are not there"] if missing else []
        return wrong + ([f"{more} objects are in no manifest"] if more > unnamed else [])
