"""A tenant's lock as Restate's admin API shows it, for actions, which have no context to call with.

Restate keeps the state of a virtual object by a partition key, which is computed from the object's
key. A query that names it looks at one place; one that does not reads the state of every object:
with 20,000 tenants 24 ms of Restate's CPU instead of 1.3 ms (observed on 1.7.12). Restate documents
the computation nowhere, so that it is held against a row that is there before an empty answer counts.
"""

import asyncio
from collections.abc import Mapping

import attrs

from landlord_engines_core import codec
from landlord_engines_core.errors import EngineFailed
from landlord_engines_restate.admin import AdminClient, literal, partition_key
from landlord_engines_restate.lock import STATE, LockState

__all__ = ["LockStates"]

MOST = 100
"""Tenants that one query asks for."""


@attrs.define(kw_only=True)
class LockStates:
    """Reads turns; those that are asked for at the same time share a query.

    Attributes:
        admin: Restate's admin API.
        lock: What the virtual object is called.
    """

    admin: AdminClient
    lock: str
    _asked: dict[str, asyncio.Future[LockState]] = attrs.field(factory=dict, init=False)
    _asking: set[asyncio.Task[None]] = attrs.field(factory=set, init=False)
    _is_proven: bool = attrs.field(default=False, init=False)

    async def read(self, tenant: str) -> LockState:
        """Read a tenant's lock; one that was never taken has an empty state.

        Raises:
            EngineError: Restate's admin API gives no answer, or one that is no lock's state.
        """
        if tenant not in self._asked:
            self._asked[tenant] = asyncio.get_running_loop().create_future()
            if len(self._asked) == 1:
                task = asyncio.create_task(self._ask())
                self._asking.add(task)
                task.add_done_callback(self._asking.discard)
        return await asyncio.shield(self._asked[tenant])

    async def _ask(self) -> None:
        """Answer all who have asked by the time that this task runs."""
        asked, self._asked = self._asked, {}
        tenants = list(asked)
        for first in range(0, len(tenants), MOST):
            some = tenants[first : first + MOST]
            try:
                found = await self._found(some)
            except Exception as error:  # noqa: BLE001  # whoever asked waits for an answer
                for tenant in some:
                    _fail(asked[tenant], error)
            else:
                for tenant in some:
                    self._answer(asked[tenant], found.get(tenant))

    def _answer(self, asked: asyncio.Future[LockState], raw: bytes | None) -> None:
        try:
            asked.set_result(codec.loads(raw, LockState) if raw is not None else LockState())
        except codec.BadDocument as error:
            broken = EngineFailed(
                f"Restate at {self.admin.url} shows no state of {self.lock} that can be read: {error}"
            )
            _fail(asked, broken)

    async def _found(self, tenants: list[str]) -> Mapping[str, bytes]:
        rows = await self.admin.query(" UNION ALL ".join(map(self._look, tenants)))
        try:
            found = {str(row["service_key"]): str(row["value_utf8"]).encode() for row in rows}
        except KeyError as error:
            raise EngineFailed(
                f"Restate at {self.admin.url} shows a state of {self.lock} without its {error}"
            ) from error
        self._is_proven = self._is_proven or bool(found)
        if not self._is_proven:
            await self._prove()
        return found

    def _look(self, tenant: str) -> str:
        return (
            "SELECT service_key, value_utf8 FROM state"  # noqa: S608  # each value is quoted
            f" WHERE partition_key = {partition_key(tenant)} AND service_name = {literal(self.lock)}"
            f" AND service_key = {literal(tenant)} AND key = {literal(STATE)}"
        )

    async def _prove(self) -> None:
        """Hold the computed key against that of any row of the locks, if there is one by now."""
        rows = await self.admin.query(
            "SELECT service_key, CAST(partition_key AS VARCHAR) AS partition FROM state"  # noqa: S608  # quoted
            f" WHERE service_name = {literal(self.lock)} LIMIT 1"
        )
        for row in rows:
            if str(row["partition"]) != str(partition_key(str(row["service_key"]))):
                raise EngineFailed(
                    f"Restate at {self.admin.url} keeps the state of {self.lock} by partition keys"
                    " that this worker computes in another way",
                    hint="use a restate-server of a version that `landlord-host engines` names",
                )
            self._is_proven = True


def _fail(asked: asyncio.Future[LockState], error: Exception) -> None:
    asked.set_exception(error)
    # Read it, so that one nobody waits for any more is not reported as never retrieved.
    asked.exception()
