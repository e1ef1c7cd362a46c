"""Invocations as a Restate server shows them: where each stands, and for which tenant it is."""

from collections.abc import Mapping

import attrs

from landlord_engines_core import codec
from landlord_engines_core.errors import EngineFailed, InvalidJob
from landlord_engines_core.models import CompletedJob
from landlord_engines_core.tenants.parsing import parse_job
from landlord_engines_restate.admin import AdminClient, literal
from landlord_engines_restate.dates import read_date
from landlord_engines_restate.settings import Names
from landlord_engines_restate.states import LockStates

__all__ = ["Invocation", "Invocations"]

_STANDING_STILL = ("suspended", "backing-off", "paused")
"""States in which none of an invocation's code runs."""

_UNREACHED = "RT0010"
"""Restate's code of an attempt that did not reach the deployment; it is shown during the next."""


@attrs.frozen(kw_only=True)
class Invocation:
    """An invocation that has not ended.

    Attributes:
        key: That of a virtual object; empty for a service.
        tried_on: The id of the deployment of its last attempt, while Restate remembers that.
        failure: Restate's code of the last attempt's failure.
    """

    id: str
    service: str
    handler: str
    key: str = ""
    status: str
    created_at: str
    tried_on: str = ""
    failure: str = ""

    @property
    def rests(self) -> bool:
        """Whether none of its code runs."""
        return self.status in _STANDING_STILL

    @property
    def stands_still(self) -> bool:
        """Whether none of its code runs, or at least had not when it was last tried."""
        return self.rests or self.failure == _UNREACHED


@attrs.frozen(kw_only=True)
class _Input:
    payload: tuple[int, ...]


@attrs.frozen(kw_only=True)
class _FirstEntry:
    Command: Mapping[str, _Input]


@attrs.frozen(kw_only=True)
class Invocations:
    """Asks one server; every method raises EngineError where it gives no usable answer.

    Attributes:
        admin: Restate's admin API.
        names: What the worker's services are called.
    """

    admin: AdminClient
    names: Names

    async def begun_by(self, deployment_id: str) -> list[Invocation]:
        """Find those that stay with a deployment, the oldest first."""
        return await self._rows(f"pinned_deployment_id = {literal(deployment_id)}")

    async def now(self, invocation_id: str) -> Invocation | None:
        """Look at one again; ``None`` where it has ended."""
        rows = await self._rows(f"id = {literal(invocation_id)}")
        return rows[0] if rows else None

    async def tenant(self, one: Invocation) -> str:
        """Read for which tenant it is; empty where it has ended or names none."""
        if one.service == self.names.lock:
            return one.key
        rows = await self.admin.query(
            f"SELECT entry_json FROM sys_journal WHERE id = {literal(one.id)} AND index = 0"  # noqa: S608  # quoted
        )
        if not rows:
            return ""
        body = self._body(one, rows[0])
        try:
            is_resync = one.service == self.names.resync
            return codec.loads(body, CompletedJob).tenant if is_resync else parse_job(body).tenant
        except (codec.BadDocument, InvalidJob):
            return ""

    def _body(self, one: Invocation, row: Mapping[str, object]) -> bytes:
        try:
            entry = codec.loads(str(row.get("entry_json", "")).encode(), _FirstEntry)
            return bytes(entry.Command["Input"].payload)
        except (codec.BadDocument, KeyError, ValueError) as error:
            raise EngineFailed(
                f"Restate at {self.admin.url} shows what {one.id} was sent in another form than 1.7"
            ) from error

    async def overtaken_by(self, job: Invocation, tenant: str) -> str:
        """The job that was dispatched after this one and has had the lock; empty if there is none.

        Moved, such a job would only find out by itself that it has to give way.

        Raises:
            EngineError: Nobody can tell, or Restate's admin API gives no usable answer.
        """
        states = LockStates(admin=self.admin, lock=self.names.lock)
        holder = (await states.read(tenant)).holder
        if holder is None or holder.execution_id == job.id:
            return ""
        rows = await self.admin.query(
            f"SELECT created_at FROM sys_invocation WHERE id = {literal(holder.execution_id)}"  # noqa: S608  # quoted
        )
        dispatched = str(rows[0]["created_at"]) if rows else holder.since
        later = read_date(dispatched) > read_date(job.created_at)
        if later and not rows:
            # It acquired the lock after its dispatch, which may have been before this job's.
            raise EngineFailed(
                f"Restate has forgotten when {holder.execution_id} was dispatched, which had the"
                " lock last: end the job where it is, or kill it"
            )
        return holder.execution_id if later else ""

    async def _rows(self, where: str) -> list[Invocation]:
        rows = await self.admin.query(
            "SELECT id, status, created_at, target_service_name AS service,"  # noqa: S608  # quoted
            " target_handler_name AS handler, target_service_key AS key,"
            " last_attempt_deployment_id AS tried_on, last_failure_error_code AS failure"
            f" FROM sys_invocation WHERE {where} AND status <> 'completed'"
            " ORDER BY created_at, id"
        )
        return [Invocation(**{key: str(value) for key, value in row.items()}) for row in rows]
