"""Records the journals of one job of each kind, for the golden test.

    python -m landlord_test_target.recorder tests/data/journals/VERSION

A proxy between a restate-server and a worker keeps each request of Restate. Over HTTP/1.1 the last
request of a job holds the whole journal up to that point.
"""

import asyncio
import base64
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import aiohttp
from aiohttp import web

from landlord_engines_restate.local.binary import server_binary
from landlord_engines_restate.local.server import RestateServer
from landlord_test_target.harness import Harness, Target, free_port

SERVICE = "TenantProvisioning"

JOBS = {
    "create": ("provision", {"version": 1}),
    "no-op": ("provision", {"version": 1}),
    "update": ("update", {"version": 2}),
    "plan": ("plan", {"version": 3}),
    "delete": ("delete", {"version": 2}),
}


class Proxy:
    """A proxy before a worker that keeps the last request of the current job."""

    def __init__(self, worker: str, http: aiohttp.ClientSession) -> None:
        self.worker = worker
        self.http = http
        self.last: dict[str, object] = {}

    async def forward(self, request: web.Request) -> web.Response:
        body = await request.read()
        if request.path.endswith(f"/invoke/{SERVICE}/execute"):
            self.last = {
                "path": request.path,
                "content-type": request.headers["content-type"],
                "body": base64.b64encode(body).decode(),
            }
        headers = _end_to_end_headers(request.headers)
        url = f"{self.worker}{request.path}"
        async with self.http.request(request.method, url, data=body, headers=headers) as answer:
            return web.Response(
                status=answer.status,
                body=await answer.read(),
                headers=_end_to_end_headers(answer.headers),
            )


def _end_to_end_headers(headers: Mapping[str, str]) -> dict[str, str]:
    hop_by_hop = ("host", "transfer-encoding", "content-length", "connection", "keep-alive")
    return {key: value for key, value in headers.items() if key.lower() not in hop_by_hop}


async def record(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        restate = RestateServer(binary=await server_binary(), folder=Path(temporary) / "restate")
        await restate.start()
        async with aiohttp.ClientSession() as http:
            target = Target(url="http://127.0.0.1:9", http=http)
            harness = Harness(
                restate=restate, target=target, http=http, folder=Path(temporary), service=SERVICE
            )
            try:
                await _record(harness, folder)
            finally:
                await harness.aclose()
                await restate.stop()


async def _record(harness: Harness, folder: Path) -> None:
    config = harness.config(compute_provider="mock")
    proxy = Proxy(f"http://{config['workflow']['restate']['worker_address']}", harness.http)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", proxy.forward)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    config["workflow"]["restate"]["worker_advertised_url"] = f"http://127.0.0.1:{port}"
    await (await harness.launch(config)).wait_registered()
    tenant = harness.tenant()
    folder.mkdir(parents=True, exist_ok=True)
    for name, (operation, settings) in JOBS.items():
        await harness.run(tenant, operation, "mock", **settings)
        (folder / f"{name}.json").write_text(json.dumps(proxy.last, indent=1) + "\n")
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(record(Path(sys.argv[1])))
