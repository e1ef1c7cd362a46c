"""Workers of two versions behind one address, which picks a worker at random.

The long form does twenty rolling updates and prints their results:
`nox -s e2e -- -k rolling_update -n 0 -s --rolls 20`.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from random import Random
from time import monotonic
from typing import Any

import aiohttp
import attrs
import pytest

from landlord_engines_restate.deployments.manifest import DIGEST_KEY, read_seconds
from landlord_test_target.balancer import Balancer, run_balancer
from landlord_test_target.harness import Harness, Worker, wait_for

OLDEST = 2.0
"""Seconds that `/readyz` may lag behind Restate: ten checks of the worker."""


@attrs.frozen(kw_only=True)
class ActualState:
    """The state in Restate during an interval: the claiming version, and the manifest that Restate read last."""

    begun: float
    ended: float
    claim: str
    abort_timeout: float | None
    revision: int = 0

    def state(self, digest: str, abort_timeout: float) -> str:
        """Return the state that a worker of this version has to show."""
        if self.claim != digest:
            return "not-latest"
        return "registered" if self.abort_timeout == abort_timeout else "outdated"


@attrs.frozen(kw_only=True)
class ShownState:
    """A registration state that a worker showed, with its time."""

    version: int
    at: float
    state: str


@attrs.define(kw_only=True)
class SharedWorkers:
    """Three workers behind one address, which workers of the next version replace one by one."""

    harness: Harness
    balancer: Balancer
    version: int = 0
    workers: list[tuple[int, Worker]] = attrs.field(factory=list)
    actual_states: list[ActualState] = attrs.field(factory=list)
    shown_states: list[ShownState] = attrs.field(factory=list)
    digests: dict[int, str] = attrs.field(factory=dict)
    jobs: dict[str, str] = attrs.field(factory=dict)
    seconds: list[float] = attrs.field(factory=list)

    @staticmethod
    def step_timeout(version: int) -> float:
        return 60.0 + version

    @classmethod
    def abort_timeout(cls, version: int) -> float:
        """Compute the service's abort timeout: two steps and the engine's longest request."""
        return 2 * cls.step_timeout(version) + 1

    async def start(self, version: int) -> Worker:
        """Start a worker, which may register before the address routes to it."""
        config = self.harness.config(step_timeout=f"{self.step_timeout(version)}s")
        config["workflow"]["restate"]["worker_advertised_url"] = self.balancer.url
        worker = await self.harness.launch(config)
        await wait_for(lambda: self._is_ready(worker))
        self.workers.append((version, worker))
        self._route()
        return worker

    async def stop_oldest(self) -> None:
        _, worker = self.workers.pop(0)
        self._route()
        assert await worker.terminate() == 0

    async def replace_workers(self) -> None:
        """Replace each worker while jobs are in flight, and wait until all show the right state."""
        begun = monotonic()
        self.version += 1
        for _ in range(3):
            await asyncio.gather(*(self.send() for _ in range(3)))
            await self.start(self.version)
            await self.stop_oldest()
        await self.wait_right()
        self.seconds.append(monotonic() - begun)

    async def wait_right(self) -> None:
        async with asyncio.timeout(120):
            for _, worker in self.workers:
                while await self._state(worker) != "registered":
                    await asyncio.sleep(0.05)
        actual = await self._read_actual_state()
        assert actual.abort_timeout == self.abort_timeout(self.version)
        self.digests[self.version] = actual.claim

    @asynccontextmanager
    async def watch(self) -> AsyncIterator[None]:
        """Record the states of the admin API and of each worker, again and again."""
        watching = [asyncio.create_task(watch()) for watch in (self._watch_admin_api, self._watch)]
        try:
            yield
        finally:
            for task in watching:
                task.cancel()
            ended = await asyncio.gather(*watching, return_exceptions=True)
        assert all(isinstance(error, asyncio.CancelledError) for error in ended), ended

    async def count_wrong(self) -> Counter[str]:
        """Compare each job with the target, its row and its history."""
        wrong: Counter[str] = Counter()
        for tenant, job in self.jobs.items():
            assert (await self.harness.wait_done(job))["output"]["status"] == "created"
            resources = await self.harness.target.resources(tenant)
            versions = [json.loads(resource["document"])["version"] for resource in resources]
            wrong["lost"] += versions != [1]
            wrong["doubled"] += len(await self.harness.target.ledger(tenant, "create", "201")) != 1
            wrong["unknown"] += await self.harness.wait_outcomes(tenant, 1) != ["created"]
        return +wrong

    def find_untrue(self) -> list[ShownState]:
        """List the shown states that contradict every recent answer of the admin API."""
        return [
            sample
            for sample in self.shown_states
            if self._age(sample) > OLDEST and not self._may_have_missed_a_state(sample)
        ]

    def _age(self, sample: ShownState) -> float:
        """Return the seconds for which Restate had shown another state."""
        digest, abort_timeout = self.digests[sample.version], self.abort_timeout(sample.version)
        ages = (
            max(0.0, sample.at - actual.ended)
            for actual in reversed(self.actual_states)
            if actual.begun <= sample.at and actual.state(digest, abort_timeout) == sample.state
        )
        return next(ages, float("inf"))

    def _may_have_missed_a_state(self, sample: ShownState) -> bool:
        """Check whether Restate read two manifests between two recent samples."""
        return any(
            after.revision - before.revision > 1
            for before, after in pairwise(self.actual_states)
            if before.begun <= sample.at and sample.at - after.ended < OLDEST
        )

    def table(self) -> str:
        judged = [age for age in map(self._age, self.shown_states) if age <= OLDEST]
        figures = {
            "rolls": self.version,
            "jobs": len(self.jobs),
            "looks at a worker": len(self.shown_states),
            **{
                f"- {state}": count
                for state, count in Counter(x.state for x in self.shown_states).items()
            },
            "looks at the admin API": len(self.actual_states),
            "longest that a worker was behind in s": round(max(judged), 2),
            "looks at what Restate showed too shortly to be seen": len(self.shown_states)
            - len(judged),
            "longest roll in s": round(max(self.seconds), 1),
        }
        return "\n".join(f"| {key} | {value} |" for key, value in figures.items())

    def _route(self) -> None:
        """Route the address to the workers that are ready, as a Kubernetes Service does."""
        parts = (worker.config["workflow"]["restate"] for _, worker in self.workers)
        self.balancer.set_servers(*(part["worker_address"] for part in parts))

    async def send(self) -> None:
        tenant = self.harness.tenant()
        await self.harness.target.set_fault(tenant, "create", delay_before=0.3)
        self.jobs[tenant] = await self.harness.send(tenant, "provision", version=1)

    async def _watch(self) -> None:
        while True:
            for version, worker in list(self.workers):
                was_registered = self._has_registered(worker)
                state = await self._state(worker)
                # A worker knows no state before the answer to its first registration.
                if state and (was_registered or state != "unknown"):
                    self.shown_states.append(
                        ShownState(version=version, at=monotonic(), state=state)
                    )
            await asyncio.sleep(0.03)

    async def _watch_admin_api(self) -> None:
        while True:
            self.actual_states.append(await self._read_actual_state())
            await asyncio.sleep(0.01)

    async def _read_actual_state(self) -> ActualState:
        begun = monotonic()
        deployment = await self.harness.admin.deployment_at(self.balancer.url)
        if deployment is None:
            return ActualState(begun=begun, ended=monotonic(), claim="", abort_timeout=None)
        (read,) = {
            (service.revision, read_seconds(service.abort_timeout))
            for service in deployment.services
        }
        return ActualState(
            begun=begun,
            ended=monotonic(),
            claim=deployment.metadata[DIGEST_KEY],
            revision=read[0],
            abort_timeout=read[1],
        )

    async def _readyz(self, worker: Worker) -> dict[str, Any]:
        with suppress(aiohttp.ClientError):
            async with self.harness.http.get(f"{worker.probe_url}/readyz") as response:
                body: dict[str, Any] = await response.json()
                return body
        return {}

    async def _is_ready(self, worker: Worker) -> bool:
        return bool((await self._readyz(worker)).get("ready"))

    async def _state(self, worker: Worker) -> str:
        """Read a worker's registration state; empty while the worker does not serve."""
        body = await self._readyz(worker)
        return body["registration"]["state"] if body.get("state") == "serving" else ""

    def _has_registered(self, worker: Worker) -> bool:
        return any(line["message"] == "registration changed" for line in worker.log_lines())


async def test_a_rolling_update_behind_one_address_ends_registered_with_the_right_state(
    harness: Harness, pytestconfig: pytest.Config
) -> None:
    rolls, chance = pytestconfig.getoption("--rolls"), Random(pytestconfig.getoption("--seed"))
    async with run_balancer((), random=chance) as balancer:
        fleet = SharedWorkers(harness=harness, balancer=balancer)
        for _ in range(3):
            await fleet.start(0)
        await fleet.wait_right()

        async with fleet.watch():
            for _ in range(rolls):
                await fleet.replace_workers()

        assert not await fleet.count_wrong()
        print(f"\n{fleet.table()}")  # noqa: T201  # the figures are what the long form is for
        assert not fleet.find_untrue()


async def test_a_worker_whose_url_reaches_an_old_version_is_outdated_until_it_reaches_the_worker(
    harness: Harness,
) -> None:
    async with run_balancer(()) as balancer:
        fleet = SharedWorkers(harness=harness, balancer=balancer)
        old = await fleet.start(0)
        await old.wait_registered()
        config = harness.config(step_timeout="50s")
        config["workflow"]["restate"]["worker_advertised_url"] = balancer.url

        new = await harness.launch(config)

        await new.wait_logged("registration changed", state="outdated")
        await old.wait_logged("registration changed", state="not-latest")
        code, text = await new.command("check")
        assert (code, "another version of this worker answered" in text) == (0, True), text
        code, text = await new.command("register")
        assert (code, text.split(":")[0]) == (4, "outdated")
        # A restarted worker finds its own claim, which proves nothing.
        assert await new.terminate() == 0
        again = await harness.launch(config)
        await again.wait_logged("registration changed", state="outdated")
        balancer.set_servers(config["workflow"]["restate"]["worker_address"])
        # Restate keeps its connection to the old worker while that worker runs.
        assert await old.terminate() == 0
        await again.wait_registered()
        assert len([line for line in old.log_lines() if line.get("state") == "registered"]) == 1


@pytest.mark.long
async def test_forced_registrations_with_other_options_fail_no_job_in_flight(
    harness: Harness,
) -> None:
    async with run_balancer(()) as balancer:
        fleet = SharedWorkers(harness=harness, balancer=balancer)
        worker = await (await fleet.start(0)).wait_registered()
        url = f"{harness.restate.admin_endpoint}/services/{harness.service}"
        revisions = set()

        for number in range(6):
            await asyncio.gather(*(fleet.send() for _ in range(10)))
            # The registration reverts this operator's change.
            async with harness.http.patch(
                url, json={"abort_timeout": f"{number + 3}m"}
            ) as response:
                assert response.status == 200
            code, text = await worker.command("register", "--make-latest")
            assert code == 0, text
            revisions.add(text.split("revision ")[1])

        assert len(revisions) == 6
        assert not await fleet.count_wrong()
