"""A conformant engine: the SQLite engine with a journal, a secret and all capabilities but two."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import attrs

import landlord_engine_sqlite
from landlord_engine_sqlite.engine import SqliteEngine, SqliteSettings
from landlord_engine_sqlite.steps import SqliteSteps
from landlord_engine_sqlite.store import Job, Store
from landlord_engines_core import codec
from landlord_engines_core.engine import (
    Capability,
    EngineContext,
    EngineInfo,
    Registration,
    Support,
)
from landlord_engines_core.settings import Secret

__all__ = ["JournalSteps", "RightEngine", "RightSettings", "create", "factory"]

T = TypeVar("T")


@attrs.frozen(kw_only=True)
class RightSettings(SqliteSettings):
    """The settings, with a secret."""

    token: Secret | None = None


@attrs.frozen(kw_only=True)
class JournalSteps(SqliteSteps):
    """Steps that journal their values in a table."""

    async def run(self, name: str, action: Callable[[], Awaitable[T]], kind: type[T]) -> T:
        """Run a step that no earlier attempt has finished."""
        self._sql("CREATE TABLE IF NOT EXISTS journal (job, step, value)")
        for row in self._sql("SELECT value FROM journal WHERE job = ? AND step = ?", name):
            return codec.loads(row["value"], kind)
        value = await action()
        self._sql("INSERT INTO journal VALUES (?, ?, ?)", name, codec.dumps(value))
        return value

    def _sql(self, sql: str, *values: object) -> list[dict[str, bytes]]:
        of_job = (self.job.id, *values) if values else ()
        return self.store._rows(sql, *of_job)  # type: ignore[return-value]


class RightEngine(SqliteEngine):
    """The engine; a wrong engine replaces its class of steps."""

    steps: type[SqliteSteps] = JournalSteps

    async def dry_run_registration(self) -> Registration:
        """Say what `register` would say."""
        return await self.register()

    async def watch_registration(self) -> Registration:
        """Say what `register` has said."""
        return await self.register()

    async def _run(self, store: Store, job: Job) -> None:
        if job.kind != "job":
            await super()._run(store, job)
            return
        steps = self.steps(
            job=job,
            store=store,
            is_desired=self.context.is_desired,
            resync_after=self.context.host.resync_after,
        )
        await self.context.run_job(job.body, steps)


def create(context: EngineContext) -> RightEngine:
    """Create the engine."""
    return RightEngine(settings=context.settings, context=context)


factory = attrs.evolve(
    landlord_engine_sqlite.factory,
    info=EngineInfo(
        name="right",
        contract=1,
        capabilities=dict.fromkeys(
            set(Capability) - {Capability.MAKE_LATEST, Capability.MOVE}, Support.FULL
        ),
    ),
    settings_type=RightSettings,
    create_engine=create,
)
