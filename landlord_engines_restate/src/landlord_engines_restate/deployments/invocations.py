"""Queries of invocations that have not ended, and of their tenants."""

import attrs

from landlord_engines_core import codec
from landlord_engines_core.errors import EngineFailed, InvalidJob
from landlord_engines_core.models import CompletedJob
from landlord_engines_core.tenants.order import Contender
from landlord_engines_core.tenants.parsing import parse_job
from landlord_engines_restate.admin import AdminClient, literal
from landlord_engines_restate.admin.dates import read_date
from landlord_engines_restate.admin.inputs import read_input
from landlord_engines_restate.admin.queries import INACTIVE, Status
from landlord_engines_restate.lock.ordering import to_contender
from landlord_engines_restate.lock.reader import LockReader
from landlord_engines_restate.settings import Names

__all__ = ["Invocation", "Invocations"]

_UNREACHABLE = "RT0010"
"""Restate's code of an attempt that did not reach the deployment."""

_COLUMNS = (
    "id, status, created_at, target_service_name AS service, target_handler_name AS handler,"
    " target_service_key AS key, last_attempt_deployment_id AS tried_on,"
    " last_failure_error_code AS failure"
)


@attrs.frozen(kw_only=True)
class Invocation:
    """An invocation that has not ended.

    Attributes:
        key: A virtual object's key; empty for a service.
        tried_on: Id of the last attempt's deployment, if Restate still knows it.
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
    def is_inactive(self) -> bool:
        """Whether none of its code runs."""
        return self.status in INACTIVE

    @property
    def is_movable(self) -> bool:
        """Whether another deployment may continue it: no code of it runs, or none was reached."""
        # Restate shows the invocation as running while the next attempt tries to connect. The
        # previous attempt's failure stays visible.
        return self.is_inactive or self.failure == _UNREACHABLE


@attrs.frozen(kw_only=True)
class Invocations:
    """Queries one server; every method raises EngineError without a usable response.

    Attributes:
        admin: Restate's admin API.
        names: Names of the worker's services.
    """

    admin: AdminClient
    names: Names

    async def list_pinned(self, deployment_id: str) -> list[Invocation]:
        """List the invocations that are pinned to a deployment, the oldest first."""
        return await self._query(f"pinned_deployment_id = {literal(deployment_id)}")

    async def find(self, invocation_id: str) -> Invocation | None:
        """Read an invocation; ``None`` if it has ended."""
        rows = await self._query(f"id = {literal(invocation_id)}")
        return rows[0] if rows else None

    async def read_tenant(self, invocation: Invocation) -> str:
        """Read an invocation's tenant; empty if it has ended or names none."""
        if invocation.service == self.names.lock:
            return invocation.key
        rows = await self.admin.query(
            f"SELECT id, entry_json FROM sys_journal WHERE id = {literal(invocation.id)} AND index = 0"  # noqa: S608  # quoted
        )
        if not rows:
            return ""
        body = read_input(rows[0], self.admin.url)
        try:
            is_resync = invocation.service == self.names.resync
            return codec.loads(body, CompletedJob).tenant if is_resync else parse_job(body).tenant
        except (codec.BadDocument, InvalidJob):
            return ""

    async def find_later_job(self, job: Invocation, tenant: str) -> str:
        """Return the last holder's id if it was dispatched after this job, else an empty text.

        Raises:
            EngineError: The order of dispatch is unknown, or Restate gave no usable response.
        """
        state = await LockReader(admin=self.admin, lock=self.names.lock).read(tenant)
        holder = state.holder
        if holder is None or holder.execution_id == job.id:
            return ""
        rows = await self.admin.query(
            "SELECT created_at, completion_result FROM sys_invocation"  # noqa: S608  # quoted
            f" WHERE id = {literal(holder.execution_id)}"
        )
        row = {key: str(value) for key, value in rows[0].items()} if rows else {}
        other = to_contender(holder, row, state.record)
        dispatched = read_date(job.created_at)
        if not other.is_later_than(Contender(operation="", dispatched=dispatched)):
            return ""
        if other.dispatched is None:
            # The holder acquired the lock after this job's dispatch, but may have been dispatched
            # before it.
            raise EngineFailed(
                f"{holder.execution_id} had the lock last, but Restate has forgotten when it was"
                f" dispatched: let {job.id} end on its deployment, or kill it"
            )
        return holder.execution_id

    async def _query(self, condition: str) -> list[Invocation]:
        rows = await self.admin.query(
            f"SELECT {_COLUMNS} FROM sys_invocation WHERE {condition}"  # noqa: S608  # quoted
            f" AND status <> '{Status.COMPLETED}' ORDER BY created_at, id"
        )
        return [Invocation(**{key: str(value) for key, value in row.items()}) for row in rows]
