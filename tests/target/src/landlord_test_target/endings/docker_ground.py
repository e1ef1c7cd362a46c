"""Cases on a real Docker engine."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import attrs

from landlord_test_target.docker import Holdings, address, show
from landlord_test_target.endings.docker_wire import Wire, docker_wire
from landlord_test_target.endings.ground import Asked, Holds
from landlord_test_target.endings.images import Images, images
from landlord_test_target.endings.plan import Case, Times, Work
from landlord_test_target.waiting import free_port

__all__ = ["DockerGround", "docker_ground"]

_NOWHERE = 81
"""A port on which no version listens."""


@attrs.define(kw_only=True)
class DockerGround:
    """Containers, with the requests of two workers on a proxy."""

    wire: Wire
    images: Images
    times: Times
    http: aiohttp.ClientSession
    compute: str = attrs.field(default="docker", init=False)
    _ports: dict[str, int] = attrs.field(factory=dict)

    def section(self, worker: int) -> Mapping[str, object]:
        request = self.times.request_timeout
        # A switch may be carried for three requests, each with its stop.
        stop = max(0, int(self.times.step_timeout / 3 - request))
        timeouts = {"request_timeout": request, "stop_timeout": stop}
        health = {"stable_window": 0.2, "health_timeout": 0.15 * self.times.step_timeout}
        return {"host": self.wire.hosts[worker], **timeouts, **health}

    def config(self, case: Case, version: int) -> Mapping[str, object]:
        image = self.images.name(str(version), case.tenant)
        config: dict[str, object] = {"image": image, "pull_policy": "always"}
        if case.has_port:
            port = self._ports.setdefault(case.tenant, 0) or free_port()
            self._ports[case.tenant] = port
            config["ports"] = [{"container_port": 8080, "host_port": port}]
        return config

    def job_config(self, case: Case) -> Mapping[str, object]:
        config = self.config(case, case.version)
        if case.work is Work.SICK:
            return {**config, "image": self.images.name("sick", case.tenant)}
        if case.work is Work.LATE:
            return {**config, "health_check": {"type": "tcp", "port": _NOWHERE}}
        return config

    async def prepare(self, cases: Sequence[Case]) -> None:
        for case in cases:
            await self.images.give(case.tenant)

    async def delay(self, case: Case) -> None:
        self.wire.delay(case.tenant, case.delays)

    async def holds(self, case: Case) -> Holds:
        containers = await asyncio.to_thread(_shown, case.tenant)
        running = [
            container for container in containers if container["State"]["Status"] == "running"
        ]
        name = f"/landlord-tenant-{case.tenant}"
        whole = len(containers) == len(running) == 1 and running[0]["Name"] == name
        return Holds(
            count=len(containers),
            running=len(running),
            serving=await self._served(case, running[0]) if whole else 0,
            detail=[_told(container) for container in containers],
        )

    async def asked(self, case: Case) -> Sequence[Asked]:
        of = self.wire.of(case.tenant)
        return [
            Asked(at=request.asked, call=request.call, detail=attrs.asdict(request))
            for request in of
        ]

    async def _served(self, case: Case, container: Mapping[str, Any]) -> int:
        """Return the version that answers; 0 if none does, or if its image has another version."""
        port = self._ports.get(case.tenant)
        url = f"http://127.0.0.1:{port}" if port else f"http://{address(container)}:8080"
        tag = container["Config"]["Image"].rpartition(":")[2]
        with suppress(aiohttp.ClientError, TimeoutError):
            async with self.http.get(url, timeout=aiohttp.ClientTimeout(total=5)) as answer:
                text = await answer.text()
                is_whole = text.isdecimal() and tag == f"{text}-{case.tenant}"
                return int(text) if is_whole else 0
        return 0


def _shown(tenant: str) -> list[dict[str, Any]]:
    containers = []
    for container in Holdings(tenant).ids:
        # A container that disappears meanwhile is left out.
        with suppress(AssertionError):
            containers.append(show(container))
    return containers


def _told(container: Mapping[str, Any]) -> Mapping[str, object]:
    state = {key: container["State"][key] for key in ("Status", "StartedAt", "FinishedAt")}
    image = container["Config"]["Image"].rpartition(":")[2][:4]
    return {"id": container["Id"][:12], "name": container["Name"][-12:], "image": image, **state}


@asynccontextmanager
async def docker_ground(
    folder: Path, http: aiohttp.ClientSession, times: Times
) -> AsyncIterator[DockerGround]:
    """Run a proxy between workers and this machine's daemon, and remove all tenants at the end."""
    async with images(folder, http) as registry, docker_wire(folder, 2) as wire:
        ground = DockerGround(wire=wire, images=registry, times=times, http=http)
        try:
            yield ground
        finally:
            for tenant in {request.tenant for request in wire.requests}:
                await asyncio.to_thread(Holdings(tenant).clear)
