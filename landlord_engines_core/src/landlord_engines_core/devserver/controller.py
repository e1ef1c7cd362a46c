"""Landlord's controller: reconciles tenants, with Landlord's mistakes.

They were observed on Landlord 98ffef1:

- A completed job is a success, whatever its result.
- A dispatch is forgotten if the record changed meanwhile.
- A change during a healthy run is only stored.
- A tenant that cannot be dispatched for a few rounds fails, and is not tried again.
"""

import asyncio
from collections import Counter
from typing import Any

import attrs

from landlord_engines_core.devserver.gojson import config_hash
from landlord_engines_core.devserver.records import (
    DELETE_AFTER_ARCHIVE,
    State,
    TenantRecord,
    Tenants,
)
from landlord_engines_core.devserver.wire import OPERATIONS, provision_request
from landlord_engines_core.engine import Dispatcher
from landlord_engines_core.logs import Logger, error_fields
from landlord_engines_core.models import PolledExecution, PolledState

__all__ = ["Controller", "Intervals"]

WORKERS = 3
"""Tenants that are reconciled at once."""
RECONCILE_LIMIT = 30.0
"""Seconds to reconcile one tenant once, the wait for a killed execution included."""

_REQUESTED = frozenset({State.REQUESTED})
_IN_FLIGHT = frozenset(OPERATIONS) - _REQUESTED


@attrs.frozen(kw_only=True)
class Intervals:
    """Intervals of the controller in seconds; the defaults are those of Landlord's examples.

    Attributes:
        reconcile: Between two rounds over requested tenants.
        poll: Between two rounds over tenants in flight.
        retry: Before the second attempt after an error; each further pause is twice as long.
        kill: Between two polls of an execution that was killed for a restart.
    """

    reconcile: float = 1.0
    poll: float = 1.0
    retry: float = 1.0
    kill: float = 1.0


@attrs.define(kw_only=True)
class Controller:
    """Reconciles tenants in rounds, several at once.

    Attributes:
        tenants: The records.
        dispatcher: The workflow backend.
        intervals: The intervals.
        max_retries: Consecutive reconcile errors before a tenant is marked failed.
        logger: Receives each error.
    """

    tenants: Tenants
    dispatcher: Dispatcher
    intervals: Intervals
    max_retries: int
    logger: Logger
    _queue: asyncio.Queue[str] = attrs.field(factory=asyncio.Queue, init=False)
    _queued: set[str] = attrs.field(factory=set, init=False)
    _errors: Counter[str] = attrs.field(factory=Counter, init=False)

    async def run(self) -> None:
        """Run until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._rounds(_REQUESTED, self.intervals.reconcile))
            group.create_task(self._rounds(_IN_FLIGHT, self.intervals.poll))
            for _ in range(WORKERS):
                group.create_task(self._work())

    async def _rounds(self, states: frozenset[State], interval: float) -> None:
        while True:
            for record in tuple(self.tenants):
                if record.status in states:
                    self._add(record.id)
            await asyncio.sleep(interval)

    def _add(self, tenant_id: str) -> None:
        if tenant_id not in self._queued:
            self._queued.add(tenant_id)
            self._queue.put_nowait(tenant_id)

    async def _work(self) -> None:
        while True:
            tenant_id = await self._queue.get()
            try:
                async with asyncio.timeout(RECONCILE_LIMIT):
                    await self._reconcile(tenant_id)
            except Exception as error:  # noqa: BLE001  # whatever a dispatcher raises is counted
                self._count_error(tenant_id, error)
            else:
                # A Counter accepts this without an entry too.
                del self._errors[tenant_id]
            finally:
                self._queued.discard(tenant_id)

    def _count_error(self, tenant_id: str, error: Exception) -> None:
        self._errors[tenant_id] += 1
        count = self._errors[tenant_id]
        self.logger.warning(
            "tenant not reconciled", tenant=tenant_id, tries=count, **error_fields(error)
        )
        if count < self.max_retries:
            pause = self.intervals.retry * 2 ** (count - 1)
            asyncio.get_running_loop().call_later(pause, self._add, tenant_id)
            return
        del self._errors[tenant_id]
        record = self.tenants.get(tenant_id)
        assert record is not None, "only the worker of this tenant removes it"
        # Landlord prints the wrong variable, so that the error itself is lost.
        message = f"Reconciliation failed after {self.max_retries} retries: <nil>"
        self.tenants.write(attrs.evolve(record, status=State.FAILED, status_message=message))

    async def _reconcile(self, tenant_id: str) -> None:
        record = self.tenants.get(tenant_id)
        if record is None or record.status not in OPERATIONS:
            return
        if record.execution_id:
            await self._poll_execution(record)
        else:
            await self._dispatch(record)

    async def _dispatch(self, record: TenantRecord) -> None:
        """Start a job; forget its execution if the record changed meanwhile."""
        execution_id = await self.dispatcher.dispatch(provision_request(record))
        is_requested = record.status is State.REQUESTED
        dispatched = attrs.evolve(
            record,
            status=State.PROVISIONING if is_requested else record.status,
            execution_id=execution_id,
            retry_count=0,
            config_hash=config_hash(record.desired_config),
        )
        self._note(dispatched, "started", sub_state="running")

    async def _poll_execution(self, record: TenantRecord) -> None:
        polled = await self._poll(record)
        if polled is None:
            return
        match polled.state:
            case PolledState.SUCCEEDED:
                self._complete(record)
            case PolledState.FAILED:
                self._note(record, "failed", status=State.FAILED, sub_state="failed")
            case _:
                await self._update_running(record, polled)

    async def _poll(self, record: TenantRecord) -> PolledExecution | None:
        """Poll an execution; an error never makes a tenant fail."""
        reason = "execution not found"
        try:
            polled = await self.dispatcher.poll(record.execution_id)
        except Exception as error:  # noqa: BLE001  # whatever a dispatcher raises
            polled, reason = None, str(error)
        if polled is None:
            # Landlord logs this at every poll, and the tenant never leaves its state.
            self.logger.warning("execution not read", id=record.execution_id, reason=reason)
        return polled

    async def _update_running(self, record: TenantRecord, polled: PolledExecution) -> None:
        is_backing_off = polled.state is PolledState.BACKING_OFF
        if is_backing_off and record.config_hash != config_hash(record.desired_config):
            await self._restart(record)
            return
        sub_state, retries = polled.state.sub_state, polled.retry_count
        if (sub_state, retries) != (record.sub_state, record.retry_count):
            self._note(record, sub_state, sub_state=sub_state, retry_count=retries)

    async def _restart(self, record: TenantRecord) -> None:
        """Kill an execution that backs off, and dispatch the current configuration."""
        self.logger.info("Configuration updated", id=record.execution_id)
        await self.dispatcher.kill(record.execution_id)
        while not await self._is_over(record.execution_id):  # noqa: ASYNC110  # Landlord polls
            await asyncio.sleep(self.intervals.kill)
        await self._dispatch(self.tenants.write(record.without_execution()))

    async def _is_over(self, execution_id: str) -> bool:
        polled = await self.dispatcher.poll(execution_id)
        return polled is not None and polled.state.has_ended

    def _complete(self, record: TenantRecord) -> None:
        """Take a completed execution for a success, whatever its result."""
        is_deletion = record.annotations.get(DELETE_AFTER_ARCHIVE) == "true"
        if record.status is State.DELETING or (record.status is State.ARCHIVING and is_deletion):
            self.tenants.remove(record)
        elif record.status is State.ARCHIVING:
            # The execution's fields stay as they were.
            self._note(record, "completed", status=State.ARCHIVED)
        else:
            self._note(
                record,
                "completed",
                status=State.READY,
                execution_id="",
                sub_state="succeeded",
                retry_count=None,
            )

    def _note(self, record: TenantRecord, word: str, **fields: Any) -> None:
        message = f"Workflow execution {word}: {record.execution_id}"
        self.tenants.write(attrs.evolve(record, status_message=message, **fields))
