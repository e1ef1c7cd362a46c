"""A proxy between workers and a Docker daemon that delays requests and records their times.

A request that a worker has sent reaches the daemon, even if the worker has cancelled it meanwhile.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from http import HTTPStatus
from itertools import product
from pathlib import Path
from time import time
from urllib.parse import unquote

import aiohttp
import attrs
from aiohttp import web

from landlord_test_target.holding_proxy import SOCKET
from landlord_test_target.killed_jobs.cases import AFTER, BEFORE, DURING, Delay, KilledJob, Moments

__all__ = ["MOMENTS", "DockerProxy", "Request", "run_docker_proxy"]

_CALLS_OF_PROVISION = [
    *product(("pull", "create"), (BEFORE, DURING, AFTER)),
    # These answers are empty or so short that a client reads them at once.
    *product(("start", "inspect"), (BEFORE, AFTER)),
]
_CALLS_OF_UPDATE = [
    *_CALLS_OF_PROVISION,
    *product(("stop", "start", "remove", "rename"), (BEFORE, AFTER)),
]
MOMENTS: Moments = {
    work: _CALLS_OF_PROVISION if work is KilledJob.PROVISION else _CALLS_OF_UPDATE
    for work in KilledJob
}

_CALLS = {
    "POST images/create": "pull",
    "POST containers/create": "create",
    "GET containers/json": "list",
    "GET containers/ID/json": "inspect",
    "DELETE containers/ID": "remove",
    **{f"POST containers/ID/{call}": call for call in ("start", "stop", "rename", "wait")},
}
_TENANT = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
_CONTAINER = re.compile(r"(?<=containers/)(?!create|json)[^/]+")
_HOP_BY_HOP = {"connection", "transfer-encoding", "content-length", "host", "content-encoding"}


@attrs.define(kw_only=True)
class Request:
    """One request; times are seconds since the epoch, 0 for not yet.

    Attributes:
        received: When the proxy received it.
        worker: The worker that sent it.
        container: The container in its path, if any.
        sent: When the daemon received it.
        answered: When the daemon had answered.
    """

    received: float
    worker: int
    call: str
    tenant: str
    container: str = ""
    sent: float = 0
    answered: float = 0
    status: int = 0
    delays: str = ""


@attrs.define(kw_only=True)
class DockerProxy:
    """The proxy, which keeps all requests that concern a tenant.

    Attributes:
        hosts: The address that each worker uses in place of the daemon's.
        requests: All requests that concern a tenant.
    """

    hosts: list[str] = attrs.field(factory=list)
    requests: list[Request] = attrs.field(factory=list)
    session: aiohttp.ClientSession
    _delays: dict[str, list[Delay]] = attrs.field(factory=dict)
    _counts: dict[tuple[str, str], int] = attrs.field(factory=dict)
    _tenants: dict[str, str] = attrs.field(factory=dict)

    def delay(self, tenant: str, delays: Sequence[Delay]) -> None:
        """Delay these requests of a tenant, counted from now on."""
        self._delays[tenant] = list(delays)
        for chosen in delays:
            self._counts[tenant, chosen.call] = 0

    def requests_of(self, tenant: str) -> list[Request]:
        """Return one tenant's requests, in order."""
        return [request for request in self.requests if request.tenant == tenant]

    async def handle(self, worker: int, incoming: web.Request) -> web.StreamResponse:
        """Pass one request on."""
        request = self._parse_request(worker, incoming)
        sleep_at = self._choose_delays(request)
        body = await incoming.read()
        await sleep_at(BEFORE)
        request.sent = time()
        headers = _end_to_end_headers(incoming.headers)
        async with self.session.request(
            incoming.method, f"http://docker{incoming.raw_path}", data=body, headers=headers
        ) as answer:
            request.status = answer.status
            if request.call == "pull":
                return await self._stream_answer(incoming, answer, sleep_at, request)
            content = await answer.read()
        request.answered = time()
        if request.call == "create" and request.status == HTTPStatus.CREATED:
            container_id = str((await answer.json())["Id"])
            self._tenants[container_id] = request.tenant
            request.container = container_id
        await sleep_at(AFTER)
        return await _send_answer(incoming, answer, content, sleep_at)

    async def _stream_answer(
        self,
        incoming: web.Request,
        answer: aiohttp.ClientResponse,
        sleep_at: "DelayAt",
        request: Request,
    ) -> web.StreamResponse:
        await sleep_at(AFTER)
        response = web.StreamResponse(
            status=answer.status, headers=_end_to_end_headers(answer.headers)
        )
        with suppress(OSError):
            await response.prepare(incoming)
            await sleep_at(DURING)
            # If the worker closes its connection, this loop ends and closes the connection to the daemon.
            # The daemon then notices the end, as it would without a proxy.
            async for data in answer.content.iter_any():
                await response.write(data)
            await response.write_eof()
        request.answered = time()
        return response

    def _parse_request(self, worker: int, incoming: web.Request) -> Request:
        path = re.sub(r"^/v[\d.]+", "", incoming.path).strip("/")
        match = _CONTAINER.search(path)
        container = match[0] if match else ""
        key = f"{incoming.method} {path.replace(container, 'ID') if container else path}"
        tenant_match = _TENANT.search(unquote(incoming.raw_path))
        request = Request(
            received=time(),
            worker=worker,
            call=_CALLS.get(key, "other"),
            tenant=tenant_match[0] if tenant_match else self._tenants.get(container, ""),
            container=container,
        )
        if request.tenant:
            self.requests.append(request)
        return request

    def _choose_delays(self, request: Request) -> "DelayAt":
        key = (request.tenant, request.call)
        self._counts[key] = count = self._counts.get(key, 0) + 1
        delays = self._delays.get(request.tenant, [])
        due = [delay for delay in delays if (delay.call, delay.nth) == (request.call, count)]
        for delay in due:
            request.delays += f"{delay.moment} {delay.seconds:g} s "
        return partial(_sleep, {delay.moment: delay.seconds for delay in due})


DelayAt = Callable[[str], Coroutine[None, None, None]]


async def _sleep(delays: Mapping[str, float], moment: str) -> None:
    # The delay itself is the fault, so there is no event to wait for.
    await asyncio.sleep(delays.get(moment, 0))


async def _send_answer(
    incoming: web.Request, answer: aiohttp.ClientResponse, body: bytes, sleep_at: "DelayAt"
) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, headers=_end_to_end_headers(answer.headers))
    if body:
        response.content_length = len(body)
    with suppress(OSError):
        await response.prepare(incoming)
        await sleep_at(DURING)
        if body:
            await response.write(body)
        await response.write_eof()
    return response


def _end_to_end_headers(headers: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in headers.items() if key.lower() not in _HOP_BY_HOP}


@asynccontextmanager
async def run_docker_proxy(folder: Path, workers: int) -> AsyncIterator[DockerProxy]:
    """Run a proxy of this machine's daemon, with a socket for each worker."""
    runners = []
    connector = aiohttp.UnixConnector(SOCKET, limit=0)
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(
        connector=connector, timeout=timeout, auto_decompress=False
    ) as session:
        proxy = DockerProxy(session=session)
        for worker in range(workers):
            application = web.Application(client_max_size=2**24)
            application.router.add_route("*", "/{path:.*}", partial(proxy.handle, worker))
            runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
            await runner.setup()
            socket = folder / f"docker-{worker}"
            await web.UnixSite(runner, str(socket)).start()
            proxy.hosts.append(f"unix://{socket}")
            runners.append(runner)
        try:
            yield proxy
        finally:
            for runner in runners:
                await runner.cleanup()
