"""The probes over real sockets, with a running and with a blocked event loop."""

import asyncio
import errno
import json
import os
import resource
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from threading import Event
from typing import Any

import attrs
import pytest
from aiohttp import web

from landlord_engines_core.compute.targets import TargetStatus
from landlord_engines_core.descriptors import Reserve
from landlord_engines_core.engine import (
    Capability,
    EngineInfo,
    Registration,
    RegistrationState,
    Support,
    WorkerEngine,
)
from landlord_engines_core.engine.guarded import GuardedEngine, build_boundary
from landlord_engines_core.errors import ComputeUnavailable, ProbesFailed, RegistrationFailed
from landlord_engines_core.lifecycle import EngineLifecycle, EngineState, LifecycleOptions
from landlord_engines_core.metrics import Metrics
from landlord_engines_core.probes import ACCEPT_PAUSE, MAX_CONNECTIONS, Acceptor, Heartbeat, Probes
from landlord_engines_core.settings import Address
from landlord_engines_core.tenants import Slots
from landlord_test_target.in_memory import RecordingLogger

ANY_PORT = Address("127.0.0.1:0")

INFO = EngineInfo(name="test", contract=1, capabilities={Capability.TENANT_LOCK: Support.FULL})


@attrs.define(eq=False)
class Engine(WorkerEngine):
    """An engine that listens, registers, ends and blocks when a test says so."""

    listens: asyncio.Event = attrs.field(factory=asyncio.Event)
    reachable: bool = True
    drained: asyncio.Event = attrs.field(factory=asyncio.Event)
    blocks_until: Event | None = None

    async def serve(self, started: Callable[[], None]) -> None:
        await self.listens.wait()
        started()
        if self.blocks_until is not None:
            self.blocks_until.wait(20)
        await self.drained.wait()

    async def register(self) -> Registration:
        if not self.reachable:
            raise RegistrationFailed("http://admin does not answer")
        return Registration(state=RegistrationState.REGISTERED, detail="here")

    async def shutdown(self, grace: float) -> None:
        await self.drained.wait()

    def end(self) -> None:
        self.listens.set()
        self.drained.set()


@attrs.define(kw_only=True)
class ProbedEngine:
    """An engine in its lifecycle, and the address of its probes."""

    engine: Engine
    probes: Probes
    stop: asyncio.Event = attrs.field(factory=asyncio.Event)
    port: int = 0

    @property
    def lifecycle(self) -> EngineLifecycle:
        return self.probes.lifecycle

    def ask(self, path: str, method: str = "GET") -> tuple[int, str]:
        """Send a request to a probe; may be called from any thread."""
        url = f"http://127.0.0.1:{self.port}{path}"
        try:
            with urllib.request.urlopen(
                urllib.request.Request(url, method=method), timeout=20
            ) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    async def ask_json(self, path: str) -> tuple[int, Any]:
        status, text = await asyncio.to_thread(self.ask, path)
        return status, json.loads(text)


def build_probed(
    engine: Engine, *, slots: Slots | None = None, longest_wait: float = 60.0
) -> ProbedEngine:
    options = LifecycleOptions(
        drain_timeout=30, register_timeout=60, registration_check_interval=60, fail_fast=False
    )
    probes = Probes(
        lifecycle=EngineLifecycle(
            info=INFO,
            engine=GuardedEngine(engine, build_boundary(INFO)),
            options=options,
            logger=RecordingLogger(),
        ),
        slots=slots or Slots(limit=1),
        metrics=Metrics(),
        longest_block=1.0,
        longest_wait=longest_wait,
        heartbeat=Heartbeat(interval=0.05),
    )
    return ProbedEngine(engine=engine, probes=probes)


@asynccontextmanager
async def serve_probes(probed: ProbedEngine, address: Address = ANY_PORT) -> AsyncIterator[None]:
    logger = RecordingLogger()
    async with probed.probes.serving(address, logger):
        ((_, _, where),) = logger.lines
        probed.port = int(str(where["port"]))
        yield


@asynccontextmanager
async def run_worker(probed: ProbedEngine) -> AsyncIterator[None]:
    async with serve_probes(probed):
        task = asyncio.create_task(probed.lifecycle.run(probed.stop))
        await asyncio.sleep(0)
        yield
        probed.stop.set()
        probed.engine.end()
        await task


async def wait_until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.001)


async def test_a_worker_that_does_not_serve_yet_is_alive_and_not_ready() -> None:
    probed = build_probed(Engine())

    async with serve_probes(probed):
        alive, ready = await probed.ask_json("/livez"), await probed.ask_json("/readyz")

    assert alive == (200, {"alive": True, "reasons": []})
    assert ready == (
        503,
        {
            "ready": False,
            "state": "new",
            "reasons": ["starting: the engine does not listen yet"],
            "registration": {"state": "unknown", "detail": "not registered yet"},
            "targets": {},
        },
    )


async def test_a_worker_that_does_not_listen_yet_is_starting() -> None:
    probed = build_probed(Engine())

    async with run_worker(probed):
        status, body = await probed.ask_json("/readyz")

    assert (status, body["state"]) == (503, "starting")
    assert body["reasons"] == ["starting: the engine does not listen yet"]


async def test_a_worker_that_listens_is_ready_whether_or_not_it_is_registered() -> None:
    probed = build_probed(Engine(reachable=False))
    probed.engine.listens.set()

    async with run_worker(probed):
        await wait_until(lambda: "admin" in probed.lifecycle.registration.detail)
        status, body = await probed.ask_json("/readyz")

    assert (status, body["ready"], body["state"], body["reasons"]) == (200, True, "serving", [])
    assert body["registration"] == {"state": "unknown", "detail": "http://admin does not answer"}


async def test_the_probe_reports_the_registration() -> None:
    probed = build_probed(Engine())
    probed.engine.listens.set()

    async with run_worker(probed):
        await wait_until(
            lambda: probed.lifecycle.registration.state is RegistrationState.REGISTERED
        )
        status, body = await probed.ask_json("/readyz")

    assert (status, body["registration"]) == (200, {"state": "registered", "detail": "here"})


async def test_a_draining_worker_is_alive_and_not_ready_and_reports_the_remaining_time() -> None:
    probed = build_probed(Engine())
    probed.engine.listens.set()

    async with run_worker(probed):
        await wait_until(lambda: probed.lifecycle.state is EngineState.SERVING)
        before = probed.lifecycle.seconds_left()
        probed.stop.set()
        await wait_until(lambda: probed.lifecycle.state is EngineState.DRAINING)
        status, body = await probed.ask_json("/readyz")
        alive, _ = await probed.ask_json("/livez")
        left = probed.lifecycle.seconds_left()

    assert (status, body["state"], alive) == (503, "draining", 200)
    assert body["reasons"][0].startswith("draining: at most ")
    assert before == 0
    assert 0 < left <= 30
    assert probed.lifecycle.seconds_left() == 0


async def test_an_ended_worker_is_not_ready() -> None:
    probed = build_probed(Engine())
    probed.engine.end()
    probed.stop.set()
    await probed.lifecycle.run(probed.stop)

    async with serve_probes(probed):
        status, body = await probed.ask_json("/readyz")

    assert (status, body["reasons"]) == (503, ["stopped: the engine has ended"])


async def test_a_blocked_event_loop_fails_the_probe_until_it_works_again() -> None:
    unblock = Event()
    probed = build_probed(Engine(blocks_until=unblock))

    def ask_until_failing() -> tuple[int, str]:
        try:
            end = time.monotonic() + 20
            while (answer := probed.ask("/livez"))[0] == 200 and time.monotonic() < end:
                time.sleep(0.02)
            return answer
        finally:
            unblock.set()

    async with run_worker(probed):
        watching = asyncio.get_running_loop().run_in_executor(None, ask_until_failing)
        probed.engine.listens.set()
        status, text = await watching
        async with asyncio.timeout(20):
            while (await probed.ask_json("/livez"))[0] != 200:
                await asyncio.sleep(0.01)

    body = json.loads(text)
    assert (status, body["alive"]) == (503, False)
    assert body["reasons"][0].startswith("the event loop has been blocked for ")


async def test_slots_that_are_never_released_fail_the_probe() -> None:
    slots, release = Slots(limit=1), asyncio.Event()
    probed = build_probed(Engine(), slots=slots, longest_wait=0.0)

    async def hold_slot() -> None:
        async with slots.hold("job"):
            await release.wait()

    async with serve_probes(probed):
        holding = [asyncio.create_task(hold_slot()) for _ in range(2)]
        await wait_until(lambda: slots.waiting == 1)
        stuck = await probed.ask_json("/livez")
        release.set()
        await asyncio.gather(*holding)
        after = await probed.ask_json("/livez")

    assert stuck[0] == 503
    assert stuck[1]["reasons"][0].startswith("all 1 slots of worker.max_concurrent_jobs have been")
    assert after[0] == 200


async def test_metrics_are_shown_in_prometheus_form() -> None:
    probed = build_probed(Engine())
    heartbeat = probed.probes.heartbeat
    probed.probes.metrics.worker.watch_loop(heartbeat.silent_for, lambda: heartbeat.tasks)

    async with serve_probes(probed):
        status, text = await asyncio.to_thread(probed.ask, "/metrics")

    assert status == 200
    assert "# TYPE landlord_worker_jobs_in_flight gauge" in text
    assert "landlord_worker_event_loop_heartbeat_age_seconds 0." in text
    assert "landlord_worker_loop_tasks 1.0" in text


@pytest.mark.parametrize(
    ("path", "method", "expected"),
    [("/", "GET", 404), ("/livez/x", "GET", 404), ("/readyz", "POST", 405)],
)
async def test_other_paths_are_not_found(path: str, method: str, expected: int) -> None:
    probed = build_probed(Engine())

    async with serve_probes(probed):
        status, _ = await asyncio.to_thread(probed.ask, path, method)

    assert status == expected


async def test_without_a_host_the_probes_listen_on_all_interfaces() -> None:
    probed = build_probed(Engine())

    async with serve_probes(probed, Address(":0")):
        status, _ = await probed.ask_json("/livez")

    assert status == 200


async def test_an_address_that_is_taken_is_named_with_its_setting() -> None:
    first, second = build_probed(Engine()), build_probed(Engine())

    async with serve_probes(first):
        with pytest.raises(ProbesFailed) as caught:
            async with serve_probes(second, Address(f"127.0.0.1:{first.port}")):
                pytest.fail("it listens")

    assert f"worker.probe_address 127.0.0.1:{first.port}: Address already in use" in str(
        caught.value
    )


@pytest.mark.parametrize("address", [":0", "[::]:0"])
async def test_all_interfaces_include_ipv4_and_ipv6(address: str) -> None:
    probed, logger = build_probed(Engine()), RecordingLogger()

    async with probed.probes.serving(Address(address), logger):
        ((_, _, fields),) = logger.lines
        for host in ("127.0.0.1", "[::1]"):
            url = f"http://{host}:{fields['port']}/livez"
            with await asyncio.to_thread(urllib.request.urlopen, url, timeout=20) as answer:
                assert answer.status == 200


async def test_without_an_address_nothing_listens() -> None:
    probed, logger = build_probed(Engine()), RecordingLogger()

    async with probed.probes.serving(Address(""), logger):
        pass

    assert logger.lines == []


async def test_each_heartbeat_counts_the_tasks() -> None:
    heartbeat = Heartbeat(interval=0.01)
    heartbeat.beat()
    before = heartbeat.tasks

    waiting = asyncio.create_task(asyncio.Event().wait())
    await wait_until(lambda: heartbeat.tasks > before)
    waiting.cancel()
    await asyncio.wait((waiting,))
    await wait_until(lambda: heartbeat.tasks == before)
    heartbeat.stop()


def test_a_heartbeat_that_never_started_can_be_stopped() -> None:
    heartbeat = Heartbeat()

    heartbeat.stop()

    assert heartbeat.silent_for() >= 0


async def test_targets_are_reported_and_do_not_affect_readiness() -> None:
    probed = build_probed(Engine())
    probed.engine.listens.set()
    denied = ComputeUnavailable("permission denied")
    statuses = {"docker": TargetStatus(error=denied), "mock": TargetStatus(detail="here")}
    probed = attrs.evolve(probed, probes=attrs.evolve(probed.probes, targets=lambda: statuses))

    async with serve_probes(probed):
        _, body = await probed.ask_json("/readyz")

    assert body["targets"] == {
        "docker": {"reached": False, "detail": "LE502: permission denied"},
        "mock": {"reached": True, "detail": "here"},
    }


async def test_probes_are_answered_without_a_free_descriptor() -> None:
    probed = build_probed(Engine())
    async with run_worker(probed):
        await probed.ask_json("/readyz")
        asking = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            ASK.format(url=f"http://127.0.0.1:{probed.port}"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert asking.stdin is not None
        assert asking.stdout is not None
        await asking.stdout.readline()
        with use_all_descriptors():
            asking.stdin.write(b"\n")
            answers = [await asking.stdout.readline() for _ in range(30)]
        await asking.wait()

    assert answers == [b"200\n"] * 30


ASK = """
import sys, urllib.request
print(flush=True)
sys.stdin.readline()
for path in ("/livez", "/metrics") * 15:
    print(urllib.request.urlopen("{url}" + path, timeout=20).status, flush=True)
"""


@contextmanager
def use_all_descriptors() -> Iterator[None]:
    """Open all file descriptors that this process may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(descriptor.name) for descriptor in Path("/dev/fd").iterdir())
    taken: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, highest + 3), hard))
    try:
        with suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in taken:
            os.close(descriptor)


async def test_a_new_probe_is_answered_despite_many_idle_connections() -> None:
    probed = build_probed(Engine())
    async with run_worker(probed):
        idle = [
            await asyncio.open_connection("127.0.0.1", probed.port)
            for _ in range(MAX_CONNECTIONS + 5)
        ]
        status, _ = await probed.ask_json("/livez")
        first = await asyncio.wait_for(idle[0][0].read(), 10)
        for _, writer in idle:
            writer.close()

    assert (status, first) == (200, b"")


async def test_without_a_reserve_a_probe_waits_for_a_descriptor() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    app = web.Application()
    runner = web.AppRunner(app)
    await runner.setup()
    assert runner.server is not None
    failures = [OSError(errno.EMFILE, "none"), BlockingIOError()]

    class Listener:
        def accept(self) -> object:
            if failures:
                raise failures.pop(0)
            return listener.accept()

        def __getattr__(self, name: str) -> Any:
            return getattr(listener, name)

    given: Any = Listener()
    boundary = Acceptor(listeners=[given], server=runner.server, reserve=Reserve(size=0))
    with boundary.open():
        port = listener.getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        line = await asyncio.wait_for(reader.readline(), 10)
        writer.close()
        failures.append(OSError(errno.EMFILE, "none"))
        _, late = await asyncio.open_connection("127.0.0.1", port)
        async with asyncio.timeout(10):
            while failures:
                await asyncio.sleep(0.01)
    await asyncio.sleep(ACCEPT_PAUSE)
    late.close()
    await runner.cleanup()

    assert line == b"HTTP/1.0 404 Not Found\r\n"
