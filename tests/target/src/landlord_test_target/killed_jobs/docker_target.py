"""Cases on a real Docker daemon."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import attrs

from landlord_test_target.docker import TenantContainers, address, inspect_container
from landlord_test_target.killed_jobs.case_target import Resources, TargetRequest
from landlord_test_target.killed_jobs.cases import Case, KilledJob, Timeouts
from landlord_test_target.killed_jobs.docker_proxy import DockerProxy, run_docker_proxy
from landlord_test_target.killed_jobs.registry import Registry, run_registry
from landlord_test_target.waiting import free_port

__all__ = ["DockerTarget", "run_docker_target"]

_CLOSED_PORT = 81
"""A port on which no version listens."""


@attrs.define(kw_only=True)
class DockerTarget:
    """The containers of a daemon, with a proxy for the requests of two workers."""

    proxy: DockerProxy
    registry: Registry
    times: Timeouts
    http: aiohttp.ClientSession
    compute: str = attrs.field(default="docker", init=False)
    _ports: dict[str, int] = attrs.field(factory=dict)

    def settings(self, worker: int) -> Mapping[str, object]:
        request = self.times.request_timeout
        # A cancelled switch may still need three requests, each with a stop.
        stop = max(0, int(self.times.step_timeout / 3 - request))
        timeouts = {"request_timeout": request, "stop_timeout": stop}
        health = {"stable_window": 0.2, "health_timeout": 0.15 * self.times.step_timeout}
        return {"host": self.proxy.hosts[worker], **timeouts, **health}

    def config(self, case: Case, version: int) -> Mapping[str, object]:
        image = self.registry.image_name(str(version), case.tenant)
        config: dict[str, object] = {"image": image, "pull_policy": "always"}
        if case.has_port:
            port = self._ports.setdefault(case.tenant, 0) or free_port()
            self._ports[case.tenant] = port
            config["ports"] = [{"container_port": 8080, "host_port": port}]
        return config

    def job_config(self, case: Case) -> Mapping[str, object]:
        config = self.config(case, case.version)
        if case.killed_job is KilledJob.UNHEALTHY:
            return {**config, "image": self.registry.image_name("sick", case.tenant)}
        if case.killed_job is KilledJob.NEVER_HEALTHY:
            return {**config, "health_check": {"type": "tcp", "port": _CLOSED_PORT}}
        return config

    async def prepare(self, cases: Sequence[Case]) -> None:
        for case in cases:
            await self.registry.push_for_tenant(case.tenant)

    async def delay(self, case: Case) -> None:
        self.proxy.delay(case.tenant, case.delays)

    async def resources(self, case: Case) -> Resources:
        containers = await asyncio.to_thread(_inspect_containers, case.tenant)
        running = [
            container for container in containers if container["State"]["Status"] == "running"
        ]
        name = f"/landlord-tenant-{case.tenant}"
        is_complete = len(containers) == len(running) == 1 and running[0]["Name"] == name
        return Resources(
            count=len(containers),
            running=len(running),
            serving=await self._serving_version(case, running[0]) if is_complete else 0,
            detail=[_summarise_container(container) for container in containers],
        )

    async def requests(self, case: Case) -> Sequence[TargetRequest]:
        requests = self.proxy.requests_of(case.tenant)
        return [
            TargetRequest(at=request.received, call=request.call, detail=attrs.asdict(request))
            for request in requests
        ]

    async def _serving_version(self, case: Case, container: Mapping[str, Any]) -> int:
        """Return the version that answers; 0 if none does, or if its image has another version."""
        port = self._ports.get(case.tenant)
        url = f"http://127.0.0.1:{port}" if port else f"http://{address(container)}:8080"
        tag = container["Config"]["Image"].rpartition(":")[2]
        with suppress(aiohttp.ClientError, TimeoutError):
            async with self.http.get(url, timeout=aiohttp.ClientTimeout(total=5)) as answer:
                text = await answer.text()
                is_right_version = text.isdecimal() and tag == f"{text}-{case.tenant}"
                return int(text) if is_right_version else 0
        return 0


def _inspect_containers(tenant: str) -> list[dict[str, Any]]:
    containers = []
    for container in TenantContainers(tenant).ids:
        # A container that disappears meanwhile is left out.
        with suppress(AssertionError):
            containers.append(inspect_container(container))
    return containers


def _summarise_container(container: Mapping[str, Any]) -> Mapping[str, object]:
    state = {key: container["State"][key] for key in ("Status", "StartedAt", "FinishedAt")}
    image = container["Config"]["Image"].rpartition(":")[2][:4]
    return {"id": container["Id"][:12], "name": container["Name"][-12:], "image": image, **state}


@asynccontextmanager
async def run_docker_target(
    folder: Path, http: aiohttp.ClientSession, times: Timeouts
) -> AsyncIterator[DockerTarget]:
    """Run a proxy between the workers and this machine's daemon, and remove all tenants at the end."""
    async with run_registry(folder, http) as registry, run_docker_proxy(folder, 2) as proxy:
        case_target = DockerTarget(proxy=proxy, registry=registry, times=times, http=http)
        try:
            yield case_target
        finally:
            for tenant in {request.tenant for request in proxy.requests}:
                await asyncio.to_thread(TenantContainers(tenant).remove_all)
