"""Landlord's controller: brings tenants to where they are asked to be, with its mistakes.

As observed on Landlord 98ffef1: a completed job is a success whatever its result; a dispatch is
forgotten where the record changed meanwhile; a change during a healthy run is only stored; and what
cannot be dispatched for a few rounds fails for good.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
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

__all__ = ["Controller", "Intervals"]

WORKERS = 3
RECONCILE_LIMIT = 30.0
"""Seconds for one look at one tenant, the wait for a killed execution included."""

_REQUESTED = frozenset({State.REQUESTED})
_IN_FLIGHT = frozenset(OPERATIONS) - _REQUESTED


@attrs.frozen(kw_only=True)
class Intervals:
    """How often the controller looks; all times are seconds, and as Landlord's examples set them.

    Attributes:
        reconcile: Between two rounds over what was requested.
        poll: Between two rounds over what is in flight.
        retry: Before the second try of what went wrong; each further pause is twice as long.
        kill: Between two looks at an execution that was killed to be started anew.
    """

    reconcile: float = 1.0
    poll: float = 1.0
    retry: float = 1.0
    kill: float = 1.0


@attrs.define(kw_only=True)
class Controller:
    """Looks at each tenant again and again, at several at once, never at one twice at once.

    Attributes:
        tenants: The records.
        dispatcher: The workflow backend.
        max_retries: After so many errors in a row a tenant without an execution fails.
        logger: Where each error is told.
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
                self._count(tenant_id, error)
            else:
                del self._errors[tenant_id]
            finally:
                self._queued.discard(tenant_id)

    def _count(self, tenant_id: str, error: Exception) -> None:
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
        assert record is not None, "nobody else removes it meanwhile"
        # The error itself is lost: Landlord prints the wrong variable.
        message = f"Reconciliation failed after {self.max_retries} retries: <nil>"
        self.tenants.keep(attrs.evolve(record, status=State.FAILED, status_message=message))

    async def _reconcile(self, tenant_id: str) -> None:
        record = self.tenants.get(tenant_id)
        if record is None or record.status not in OPERATIONS:
            return
        if record.execution_id:
            await self._look_after(record)
        else:
            await self._dispatch(record)

    async def _dispatch(self, record: TenantRecord) -> None:
        """Start a job; where the record changed while it was sent, the execution is forgotten."""
        execution_id = await self.dispatcher.dispatch(provision_request(record))
        requested = record.status is State.REQUESTED
        dispatched = attrs.evolve(
            record,
            status=State.PROVISIONING if requested else record.status,
            execution_id=execution_id,
            retry_count=0,
            config_hash=config_hash(record.desired_config),
        )
        self._note(dispatched, "started", sub_state="running")

    async def _look_after(self, record: TenantRecord) -> None:
        polled = await self._polled(record)
        match polled.get("state"):
            case None:
                # Landlord says so at every poll, and the tenant stays as it is for ever.
                self.logger.warning(
                    "execution not read", id=record.execution_id, reason=polled.get("error")
                )
            case "succeeded":
                self._succeeded(record)
            case "failed":
                self._note(record, "failed", status=State.FAILED, sub_state="failed")
            case _:
                await self._still_running(record, polled)

    async def _polled(self, record: TenantRecord) -> Mapping[str, object]:
        """The execution's state; that it cannot be read never makes a tenant fail."""
        try:
            return await self.dispatcher.poll(record.execution_id)
        except Exception as error:  # noqa: BLE001  # whatever a dispatcher raises
            return {"error": str(error)}

    async def _still_running(self, record: TenantRecord, polled: Mapping[str, object]) -> None:
        sub_state = str(polled["sub_state"])
        if sub_state == "backing-off" and record.config_hash != config_hash(record.desired_config):
            await self._start_anew(record)
            return
        retries = int(str(polled.get("retry_count") or 0))
        if (sub_state, retries) != (record.sub_state, record.retry_count):
            self._note(record, sub_state, sub_state=sub_state, retry_count=retries)

    async def _start_anew(self, record: TenantRecord) -> None:
        """Kill an execution that cannot go on, and dispatch the configuration of now."""
        self.logger.info("Configuration updated", id=record.execution_id)
        await self.dispatcher.kill(record.execution_id)
        while not await self._is_over(record.execution_id):  # noqa: ASYNC110  # Landlord polls
            await asyncio.sleep(self.intervals.kill)
        await self._dispatch(self.tenants.keep(record.without_execution()))

    async def _is_over(self, execution_id: str) -> bool:
        return (await self.dispatcher.poll(execution_id)).get("state") in ("succeeded", "failed")

    def _succeeded(self, record: TenantRecord) -> None:
        """Believe it: nobody looks at the result."""
        gone_too = record.annotations.get(DELETE_AFTER_ARCHIVE) == "true"
        if record.status is State.DELETING or (record.status is State.ARCHIVING and gone_too):
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
        self.tenants.keep(attrs.evolve(record, status_message=message, **fields))
