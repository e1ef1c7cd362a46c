"""A local restate-server, as `landlord-host dev` and these tests use it."""

import asyncio
from pathlib import Path

import aiohttp

from landlord_engines_restate.local.backends import local_backend
from landlord_engines_restate.local.binary import server_binary
from landlord_engines_restate.local.server import RestateServer
from landlord_engines_restate.settings import RestateSettings
from landlord_test_target.harness import Harness


async def answers(url: str) -> bool:
    try:
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            return response.ok
    except aiohttp.ClientError:
        return False


async def test_a_local_backend_answers_until_its_context_ends(tmp_path: Path) -> None:
    folder = tmp_path / 'a "quoted" folder'

    async with local_backend(RestateSettings(service_name="Some"), folder) as backend:
        admin = f"{backend.settings['admin_endpoint']}/health"
        ingress = f"{backend.settings['endpoint']}/restate/health"
        answered = [await answers(admin), await answers(ingress)]
        RestateSettings(**backend.settings).check()  # type: ignore[arg-type]  # as settings give them
        unknown = await backend.dispatcher.poll("inv_1kryKC7YIpa26JsiRLxzK8aTDqh6rFSIHR")

    assert answered == [True, True]
    assert unknown is None
    assert not await answers(admin)
    assert (folder / "restate-server.log").exists()


async def test_a_server_started_again_keeps_its_ports_and_its_data(
    dedicated_harness: Harness,
) -> None:
    server = dedicated_harness.restate
    await dedicated_harness.worker()
    job = await dedicated_harness.send(dedicated_harness.tenant(), "provision", version=1)
    await dedicated_harness.wait_status(job, "completed")
    url = server.admin_endpoint

    await server.kill()
    stopped = await answers(f"{url}/health")
    await server.start()

    assert not stopped
    assert server.admin_endpoint == url
    assert (await dedicated_harness.wait_row(job))["status"] == "completed"


async def test_two_servers_run_side_by_side(
    dedicated_restate: RestateServer, tmp_path: Path
) -> None:
    other = RestateServer(binary=await server_binary(), folder=tmp_path / "other")
    await other.start()

    both = await asyncio.gather(
        *(answers(f"{server.admin_endpoint}/health") for server in (dedicated_restate, other))
    )
    await other.stop()

    assert both == [True, True]
