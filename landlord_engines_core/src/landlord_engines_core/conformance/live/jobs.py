"""The scripted ``run_job`` and ``resync`` of a test's workers: they call the steps, and note everything."""

import asyncio
import hashlib
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from uuid import uuid4

import attrs

from landlord_engines_core.conformance.live.ledger import Entry, Ledger
from landlord_engines_core.conformance.live.scripts import Script
from landlord_engines_core.errors import Held, InvalidJob, JobError, Superseded, Transient
from landlord_engines_core.models import (
    CompletedJob,
    ExecutionState,
    ExecutionStatus,
    FollowUp,
    JobStart,
    Operation,
    Outcome,
    Output,
    Placement,
    Record,
    Resynced,
    Transition,
)
from landlord_engines_core.steps import Steps

__all__ = ["ScriptedJobs", "digest"]

HELD_PAUSE = 1.0
"""The pause of a held job, in seconds."""


@attrs.frozen
class Value:
    """The value of a step, with the time of its action, so that no later attempt has another."""

    text: str
    at: str


@attrs.frozen(kw_only=True)
class ScriptedJobs:
    """Runs jobs as their bodies say."""

    ledger: Ledger
    worker: int

    async def run(self, body: bytes, steps: Steps) -> ExecutionStatus:
        """Run one attempt of a job."""
        attempt = Attempt(jobs=self, script=Script.read(body), steps=steps)
        attempt.note("attempt begins", execution=steps.execution_id, body=digest(body))
        with attempt.noted():
            return await attempt.run()

    async def resync(self, ended: CompletedJob, steps: Steps) -> Resynced:
        """Run a resync of a job."""
        dispatched = self.ledger.read("dispatched")
        scripts = [entry.facts["script"] for entry in dispatched if _is_job(entry, ended)]
        script = Script(**scripts[0]) if scripts else Script(job="unknown", tenant=ended.tenant)
        attempt = Attempt(jobs=self, script=script, steps=steps)
        attempt.note("resync begins", execution=ended.execution_id, last=ended.last)
        with attempt.noted("resync"):
            return await attempt.resync(ended)


def _is_job(entry: Entry, ended: CompletedJob) -> bool:
    return bool(entry.facts["execution"] == ended.execution_id)


@attrs.frozen(kw_only=True)
class Attempt:
    """One attempt of a job, or of a resync."""

    jobs: ScriptedJobs
    script: Script
    steps: Steps

    def note(self, event: str, **facts: object) -> None:
        """Write an event of this job."""
        self.jobs.ledger.write(event, worker=self.jobs.worker, job=self.script.job, **facts)

    @contextmanager
    def noted(self, kind: str = "attempt") -> Iterator[None]:
        """Note how the attempt ends."""
        end = "returned"
        try:
            yield
        except BaseException as error:
            end = f"raised {type(error).__name__}"
            raise
        finally:
            self.note(f"{kind} ends", end=end)

    async def run(self) -> ExecutionStatus:
        """Call the steps in the order of every job."""
        await self._lost()
        self._point("begin")
        self._fail("invalid")
        try:
            resolved = await self._step("resolve", self._resolve)
            self._point("resolved")
            record = await self._acquire(resolved)
            self._point("acquired")
            applied = await self._step("apply", self._apply)
            self._point("applied")
            await self.steps.complete(
                self.script.tenant, self._transition(resolved, applied, record)
            )
            self.note("completed")
            self._point("completed")
        except Superseded as error:
            self.note("superseded", error=error.code)
            return self._answer(ExecutionState.CANCELLED)
        return self._answer(ExecutionState.SUCCEEDED)

    async def resync(self, ended: CompletedJob) -> Resynced:
        """Call the steps of a resync that repairs something."""
        try:
            resolved = await self._step("resolve", self._resolve)
            if self.script.resync:
                await self._acquire(resolved)
                await self._step("resync", self._repair)
        except Superseded as error:
            self.note("resync superseded", error=error.code)
        answer = self._answer(ExecutionState.SUCCEEDED)
        if not self.script.follow_up or ended.last:
            return Resynced(answer)
        next_resync = attrs.evolve(ended, last=True)
        return Resynced(answer, FollowUp(after=self.script.follow_up, ended=next_resync))

    async def _lost(self) -> None:
        lost = await self.steps.lost_attempts()
        self.note("lost attempts", count=lost.count, is_new=lost.is_new)

    async def _step(self, name: str, action: Callable[[], Awaitable[None]]) -> Value:
        ran: list[str] = []

        async def act() -> Value:
            self.note("action begins", step=name)
            await action()
            ran.append(uuid4().hex)
            self.note("action ends", step=name, value=ran[-1])
            return Value(text=ran[-1], at=datetime.now(UTC).isoformat())

        value = await self.steps.run(name, act, Value)
        self.note("step", step=name, value=value.text, ran=bool(ran))
        return value

    async def _resolve(self) -> None:
        await asyncio.sleep(self.script.resolve)

    async def _acquire(self, resolved: Value) -> Record:
        self.note("acquiring")
        start = JobStart(
            operation=self.script.operation,
            started_at=resolved.at,
            placement=None if self._is_delete else self._placement,
            is_uuid=True,
        )
        record = await self.steps.acquire(self.script.tenant, start)
        self.note("acquired", **_describe(record))
        return record

    async def _apply(self) -> None:
        """Change the target: read the record, and send a request."""
        # The events of a change are what may not overlap.
        self.note("change begins")
        try:
            self._point("applying")
            self._fail("held", "transient")
            record = await self.steps.read_record(self.script.tenant)
            self.note("request", **_describe(record))
            await self._carry(self._seconds())
        except Superseded as error:
            self.note("refused", error=error.code)
            raise
        finally:
            self.note("change ends")

    async def _repair(self) -> None:
        self.note("repair begins")
        try:
            await self.steps.read_record(self.script.tenant)
            await asyncio.sleep(self.script.resync)
        finally:
            self.note("repair ends")

    async def _carry(self, seconds: float) -> None:
        """Send a request that goes on for a while after a cancellation."""
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.note("cancelled")
            until = asyncio.get_running_loop().time() + self.script.carry
            while (left := until - asyncio.get_running_loop().time()) > 0:
                # A second cancellation does not end a request either.
                await asyncio.wait((asyncio.ensure_future(asyncio.sleep(left)),))
            raise

    def _seconds(self) -> float:
        changes = len(self._earlier("request")) - 1
        return self.script.apply[min(changes, len(self.script.apply) - 1)]

    def _fail(self, *kinds: str) -> None:
        """Fail as the script says for this attempt."""
        failed = len(self._earlier("failing"))
        if failed >= len(self.script.fail):
            return
        kind, _, pause = self.script.fail[failed].partition(" ")
        if kind not in kinds:
            return
        self.note("failing", how=self.script.fail[failed])
        reason = f"as scripted for {self.script.job}"
        raise _error(kind, reason, float(pause) if pause else None)

    def _point(self, name: str) -> None:
        """Kill or stop this process, if the script says so and this is the first time."""
        for what, number in (("die", signal.SIGKILL), ("freeze", signal.SIGSTOP)):
            if getattr(self.script, what) == name and not self._earlier(f"{what} at"):
                self.note(f"{what} at", point=name)
                os.kill(os.getpid(), number)

    def _earlier(self, event: str) -> list[Entry]:
        return self.jobs.ledger.read(event, job=self.script.job)

    @property
    def _is_delete(self) -> bool:
        return self.script.operation == Operation.DELETE

    @property
    def _placement(self) -> Placement:
        # One for each job, so that a record shows whose start it has.
        return Placement("kit", self.script.job)

    def _transition(self, resolved: Value, applied: Value, record: Record) -> Transition:
        return Transition(
            execution_id=self.steps.execution_id,
            operation=self.script.operation,
            started_at=resolved.at,
            ended_at=applied.at,
            outcome=Outcome.DELETED if self._is_delete else Outcome.UPDATED,
            placement=None if self._is_delete else self._placement,
            removed=record.placements if self._is_delete else (),
        )

    def _answer(self, state: ExecutionState) -> ExecutionStatus:
        return ExecutionStatus(
            execution_id=self.steps.execution_id,
            provider_type="conformance",
            state=state,
            start_time="",
            output=Output(tenant_id=self.script.tenant, status=state),
        )


def digest(body: bytes) -> str:
    """Return the hash of a body's bytes."""
    return hashlib.sha256(body).hexdigest()[:16]


def _describe(record: Record) -> dict[str, object]:
    return {
        "transitions": len(record.transitions),
        "placements": [placement.location for placement in record.placements],
    }


def _error(kind: str, reason: str, pause: float | None) -> JobError:
    if kind == "invalid":
        return InvalidJob(reason, status=422)
    if kind == "held":
        return Held(reason, retry_after=HELD_PAUSE if pause is None else pause)
    return Transient(reason, retry_after=pause)
