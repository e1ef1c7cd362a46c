"""The environment of cases: two workers on a backend, a target, and Landlord's API."""

import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import (
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    closing,
    nullcontext,
)
from pathlib import Path
from random import Random
from typing import Any, Protocol

import attrs

from landlord_engine_sqlite.store import Store
from landlord_engines_core.engine import Dispatcher
from landlord_engines_core.models import PolledExecution, PolledState
from landlord_test_target.harness import Harness, Worker, free_port, wait_for
from landlord_test_target.killed_jobs.case_target import CaseTarget
from landlord_test_target.killed_jobs.cases import Timeouts
from landlord_test_target.killed_jobs.fixed_landlord import FixedLandlord, run_fixed_landlord
from landlord_test_target.killed_jobs.router import Router, run_router

__all__ = [
    "Backend",
    "CaseEnvironment",
    "QueueBackend",
    "RestateBackend",
    "start_queue_environment",
    "start_restate_environment",
    "worker_settings",
]

_QUIET_CHECKS = 20
"""Successive checks, some 30 ms apart, that must show no open job."""


class Backend(Protocol):
    """The operations on a backend that a case needs in addition to the dispatcher's."""

    @property
    def dispatcher(self) -> Dispatcher:
        """Return the dispatcher, which is Landlord's access to the backend."""

    async def had_lock(self, tenant: str, job: str) -> bool:
        """Check whether this job is, or was last, the holder of the tenant's lock."""

    async def history(self, tenant: str) -> Sequence[Mapping[str, object]]:
        """Read the tenant's history."""

    async def wait_no_open_job(self, within: float) -> None:
        """Wait until no job and no resync is open. Scheduled resyncs count as open."""

    def safe_to_freeze(self, worker: int) -> AbstractContextManager[object]:
        """Return the context in which a worker may be frozen; from its start the worker gets no job."""

    def resume_jobs(self, worker: int) -> None:
        """Send jobs to this worker again."""


@attrs.frozen(kw_only=True)
class RestateBackend:
    """A restate-server."""

    harness: Harness
    router: Router

    @property
    def dispatcher(self) -> Dispatcher:
        return self.harness.dispatcher

    async def had_lock(self, tenant: str, job: str) -> bool:
        holder = (await self.harness.status(tenant)).get("holder") or {}
        return bool(holder.get("execution_id") == job)

    async def history(self, tenant: str) -> Sequence[Mapping[str, object]]:
        return await self.harness.history(tenant)

    async def wait_no_open_job(self, within: float) -> None:
        checks = 0

        async def check() -> bool:
            # A job that has ended sends its end to the lock, and Restate shows that call a moment later.
            nonlocal checks
            checks = 0 if await self._open() else checks + 1
            return checks >= _QUIET_CHECKS

        await wait_for(check, within)

    async def _open(self) -> Sequence[Mapping[str, object]]:
        return await self.harness.admin.query(
            "SELECT id FROM sys_invocation"
            f" WHERE target LIKE '{self.harness.service}%' AND status != 'completed'"
            " AND target_handler_name != 'forget'"
        )

    def safe_to_freeze(self, worker: int) -> AbstractContextManager[object]:
        self.router.excluded.add(worker)
        return nullcontext()

    def resume_jobs(self, worker: int) -> None:
        self.router.excluded.discard(worker)


@attrs.define(kw_only=True)
class CaseEnvironment:
    """The target, backend, Landlord API and workers of a run.

    Attributes:
        landlord: Landlord's API; its address is empty if the workers do not know it.
    """

    target: CaseTarget
    backend: Backend
    landlord: FixedLandlord
    times: Timeouts
    workers: Sequence[Worker]

    @property
    def longest(self) -> float:
        """Return the seconds after the last job by which the last resync has ended."""
        return 6 * self.times.step_timeout + 120

    def freeze(self, worker: int) -> None:
        """Freeze a worker with SIGSTOP."""
        with self.backend.safe_to_freeze(worker):
            self.workers[worker].send_signal(signal.SIGSTOP)

    def thaw(self, worker: int) -> None:
        """Continue a frozen worker."""
        self.workers[worker].send_signal(signal.SIGCONT)
        self.backend.resume_jobs(worker)


def worker_settings(times: Timeouts) -> dict[str, Any]:
    """Build the settings of workers with these timeouts."""
    step = times.step_timeout
    return {
        "step_timeout": f"{step:g}s",
        "health_timeout": f"{step / 2:g}s",
        "resync_after": f"{min(5, step / 2):g}s",
        "hold_retry_interval": "1s",
        "drain_timeout": "5s",
    }


@asynccontextmanager
async def start_restate_environment(
    harness: Harness, case_target: CaseTarget, times: Timeouts, chance: Random, *, api: bool
) -> AsyncIterator[CaseEnvironment]:
    """Start two workers behind one address; ``api`` tells whether they know Landlord's."""
    ports = (free_port(), free_port())
    async with AsyncExitStack() as stack:
        landlord = await stack.enter_async_context(run_fixed_landlord()) if api else FixedLandlord()
        router = await stack.enter_async_context(run_router(ports, chance))
        workers = []
        for worker, port in enumerate(ports):
            settings = worker_settings(times)
            config = harness.config(
                port=port,
                api=landlord.url or None,
                compute_provider=case_target.compute,
                **settings,
            )
            config["compute"][case_target.compute] = case_target.settings(worker)
            config["workflow"]["restate"]["worker_advertised_url"] = router.url
            workers.append(await (await harness.launch(config)).wait_registered())
        yield CaseEnvironment(
            target=case_target,
            backend=RestateBackend(harness=harness, router=router),
            landlord=landlord,
            times=times,
            workers=workers,
        )


@attrs.frozen(kw_only=True)
class QueueBackend:
    """A file from which workers lease jobs, and to which the dispatcher writes them."""

    store: Store

    @property
    def dispatcher(self) -> Dispatcher:
        return self

    async def dispatch(self, body: bytes) -> str:
        return str(self.store.send(body))

    async def poll(self, execution_id: str) -> PolledExecution:
        job = self.store.job(int(execution_id))
        assert job is not None, "it was dispatched"
        states = {"open": PolledState.RUNNING, "done": PolledState.SUCCEEDED}
        return PolledExecution(state=states.get(job.state, PolledState.FAILED))

    async def kill(self, execution_id: str) -> None:
        self.store.stop(int(execution_id), "killed")

    async def had_lock(self, tenant: str, job: str) -> bool:
        return str(self.store.lock(tenant).job) == job

    async def history(self, tenant: str) -> Sequence[Mapping[str, object]]:
        return [
            attrs.asdict(transition) for transition in self.store.lock(tenant).record.transitions
        ]

    async def wait_no_open_job(self, within: float) -> None:
        async def check() -> bool:
            return not self.store.open_jobs()

        await wait_for(check, within)

    def safe_to_freeze(self, worker: int) -> AbstractContextManager[object]:
        # A worker frozen while it writes would lock the whole file, and SQLite never breaks that lock.
        _ = worker
        return self.store.transaction()

    def resume_jobs(self, worker: int) -> None:
        """Do nothing: a worker that continues takes jobs by itself."""


@asynccontextmanager
async def start_queue_environment(
    folder: Path, case_target: CaseTarget, times: Timeouts, *, api: bool
) -> AsyncIterator[CaseEnvironment]:
    """Start two workers on one file; ``api`` tells whether they know Landlord's."""
    path, workers = folder / f"sqlite-{api}.db", list[Worker]()
    async with AsyncExitStack() as stack:
        landlord = await stack.enter_async_context(run_fixed_landlord()) if api else FixedLandlord()
        store = stack.enter_context(closing(Store(path)))
        for number in range(2):
            settings = {**worker_settings(times), "compute_provider": case_target.compute}
            settings["probe_address"] = f"127.0.0.1:{free_port()}"
            if api:
                settings["landlord_api_url"] = landlord.url
            config = {
                "compute": {case_target.compute: case_target.settings(number)},
                "workflow": {"sqlite": {"path": str(path), "lease": f"{times.request_timeout:g}s"}},
                "worker": settings,
            }
            worker = await Worker(config=config, folder=folder, engine="sqlite").start()
            stack.push_async_callback(worker.kill)
            workers.append(await worker.wait_registered())
        backend = QueueBackend(store=store)
        yield CaseEnvironment(
            target=case_target, backend=backend, landlord=landlord, times=times, workers=workers
        )
