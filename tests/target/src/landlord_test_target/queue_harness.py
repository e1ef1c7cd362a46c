"""The harness of the tests of the example `sqlite`: a file with jobs, a target, and real workers."""

import signal
from pathlib import Path
from typing import Any

import attrs

from landlord_engines_core.devserver.records import State, TenantRecord
from landlord_engines_core.devserver.wire import provision_request
from landlord_engines_core.engine import Dispatcher, LocalBackend
from landlord_engines_core.models import PolledExecution, PolledState
from landlord_test_target.target import Target
from landlord_test_target.waiting import wait_for
from landlord_test_target.worker import Worker


@attrs.define(kw_only=True)
class QueueHarness:
    """The file with jobs, the target, and the workers of one test."""

    backend: LocalBackend
    target: Target
    folder: Path
    workers: list[Worker] = attrs.field(factory=list)

    @property
    def dispatcher(self) -> Dispatcher:
        return self.backend.dispatcher

    async def worker(self, **worker: object) -> Worker:
        """Start a worker and wait until it reads jobs."""
        return await (await self.launch(**worker)).wait_registered()

    async def launch(self, **worker: object) -> Worker:
        launched = Worker(config=self.config(**worker), folder=self.folder, engine="sqlite")
        self.workers.append(launched)
        return await launched.start()

    async def send(self, tenant: str, status: State, **config: object) -> str:
        """Send a job as Landlord does for a tenant in this state."""
        record = TenantRecord(id=tenant, name="acme", status=status, desired_config=config)
        return await self.dispatcher.dispatch(provision_request(record))

    async def wait_state(self, job: str, state: PolledState) -> PolledExecution:
        """Wait until Landlord reads this state of a job, and return the answer."""

        async def check() -> PolledExecution | None:
            polled = await self.dispatcher.poll(job)
            return polled if polled is not None and polled.state is state else None

        answer = await wait_for(check)
        assert answer is not None
        return answer

    async def aclose(self) -> None:
        for worker in self.workers:
            if worker.process is not None and worker.process.returncode is None:
                worker.send_signal(signal.SIGTERM)
                await worker.wait_ended()

    def config(self, **worker: object) -> dict[str, Any]:
        quick = {"hold_retry_interval": "200ms", "drain_timeout": "10s", "probe_address": ""}
        return {
            "compute": {"target": {"url": self.target.url}},
            "workflow": {"sqlite": {**self.backend.settings, "poll_interval": "20ms"}},
            "worker": {**quick, **worker},
        }
