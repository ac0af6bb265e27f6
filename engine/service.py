"""Queue, store and worker processes, started together and stopped together. Runs in the main process."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from db.store import Store, StoreError
from engine import vault
from engine.clock import Clock
from engine.errors import UserError
from engine.ledger import Ledger
from engine.policy import Policy
from engine.queue import Queue
from engine.settings import EngineSettings
from engine.supervisor import Supervisor

POLICY = Policy()
"""The limits of a server that many people share."""


@dataclass(frozen=True)
class Service:
    """A running engine."""

    queue: Queue
    supervisor: Supervisor


def files_folder(store: Path) -> Path:
    """Return the folder beside a store that holds what its jobs made."""
    return store.with_name(f"{store.stem}-files")


@asynccontextmanager
async def reading(store_path: Path) -> AsyncIterator[Ledger]:
    """Open the store at `store_path` for reading, also beside a running bot. Raises `UserError` when it cannot be."""
    try:
        store = await Store.open(store_path, read_only=True)
    except StoreError as error:
        raise UserError(str(error), code="bad_store") from error
    async with store:
        yield Ledger(store)


@asynccontextmanager
async def running(
    settings: EngineSettings,
    store_path: Path | None = None,
    *,
    policy: Policy = POLICY,
    clock: Clock | None = None,
) -> AsyncIterator[Service]:
    """Run the engine on the store at `store_path`; without one, on a private store that is gone afterwards.

    Raises `UserError` when the store cannot be used or a model cannot load.
    """
    with tempfile.TemporaryDirectory(prefix="tunetale-") as private:
        path = store_path or Path(private) / "store.sqlite"
        try:
            store = await Store.open(path)
        except StoreError as error:
            raise UserError(str(error), code="bad_store") from error
        try:
            folder = files_folder(path)
            folder.mkdir(parents=True, exist_ok=True)
            vault.use(vault.load(settings.vault.key_file))
            vault.current().prove(folder)
            queue = Queue(
                store,
                folder,
                clock=clock,
                policy=policy,
                lease_s=settings.worker.lease_s,
                deadline_s=settings.worker.deadline_s,
            )
            await queue.recover()
            supervisor = Supervisor(queue, settings)
            try:
                await supervisor.start()
                yield Service(queue, supervisor)
            finally:
                await supervisor.stop(settings.worker.grace_s)
        finally:
            await store.close()
