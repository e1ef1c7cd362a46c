"""Workers of one version behind a load balancer, which picks one at random for each connection."""

import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import attrs

from landlord_test_target.balancer import Balancer, run_balancer
from landlord_test_target.faults.cuttable_proxy import CuttableProxy, run_cuttable_proxy
from landlord_test_target.harness import Harness, Worker
from landlord_test_target.waiting import free_port, wait_for

__all__ = ["Fleet", "start_fleet"]

STARTS = 120.0
"""Seconds within which a worker has to listen, on a busy machine."""


@attrs.define(kw_only=True)
class Fleet:
    """The workers of one version, each of which may be killed, frozen and replaced.

    Attributes:
        proxy: Restate's connection to the workers; they advertise its URL.
        size: The number of workers behind the balancer without faults.
        config: The settings that the workers share.
        routed: The workers behind the balancer; some of them may be frozen.
        frozen: The frozen workers.
    """

    harness: Harness
    balancer: Balancer
    proxy: CuttableProxy
    size: int
    config: Mapping[str, Any]
    routed: list[Worker] = attrs.field(factory=list)
    frozen: list[Worker] = attrs.field(factory=list)

    @property
    def awake(self) -> list[Worker]:
        """List the workers behind the balancer that are not frozen."""
        return [worker for worker in self.routed if worker not in self.frozen]

    async def start(self) -> Worker:
        """Start a worker, and return once it listens and is behind the balancer."""
        worker = await self.harness.launch(self._own_config())
        await wait_for(lambda: _is_listening(worker), STARTS)
        self.routed.append(worker)
        self._route()
        return worker

    def take_out(self, worker: Worker) -> None:
        """Take a worker out of the balancer; its open connections stay."""
        self.routed = [other for other in self.routed if other is not worker]
        self._route()

    async def kill(self, worker: Worker) -> None:
        """Kill a worker with SIGKILL, as a crash would."""
        assert worker.is_running, worker.log_text()
        self.take_out(worker)
        await worker.kill()

    async def stop(self, worker: Worker) -> None:
        """Drain a worker, as an orchestrator does: first out of the balancer."""
        self.take_out(worker)
        worker.send_signal(signal.SIGTERM)
        assert await worker.wait_ended() == 0, worker.log_text()

    def freeze(self, worker: Worker) -> None:
        """Freeze a worker with SIGSTOP, as a paused machine would."""
        self.frozen.append(worker)
        worker.send_signal(signal.SIGSTOP)

    def thaw(self, worker: Worker) -> None:
        """Continue a frozen worker."""
        worker.send_signal(signal.SIGCONT)
        self.frozen = [other for other in self.frozen if other is not worker]

    def _own_config(self) -> dict[str, Any]:
        """Build the settings of one worker, with its own addresses."""
        restate = {
            **self.config["workflow"]["restate"],
            "worker_address": f"127.0.0.1:{free_port()}",
            "worker_advertised_url": self.proxy.url,
        }
        probes = {"probe_address": f"127.0.0.1:{free_port()}"}
        return {
            **self.config,
            "workflow": {"restate": restate},
            "worker": {**self.config["worker"], **probes},
        }

    def _route(self) -> None:
        addresses = (
            worker.config["workflow"]["restate"]["worker_address"] for worker in self.routed
        )
        self.balancer.set_servers(*addresses)


@asynccontextmanager
async def start_fleet(
    harness: Harness, config: Mapping[str, Any], *, size: int, seed: int
) -> AsyncIterator[Fleet]:
    """Start this many workers, and return once one of them is registered."""
    async with (
        run_balancer((), random=Random(f"balancer-{seed}")) as balancer,
        run_cuttable_proxy(balancer.url) as proxy,
    ):
        workers = Fleet(harness=harness, balancer=balancer, proxy=proxy, size=size, config=config)
        for _ in range(size):
            await workers.start()
        await workers.routed[0].wait_registered()
        try:
            yield workers
        finally:
            for worker in workers.frozen:
                worker.send_signal(signal.SIGCONT)


async def _is_listening(worker: Worker) -> bool:
    assert worker.is_running, worker.log_text()
    return any(line["message"] == "listening" for line in worker.log_lines())
