"""The recorded requests of Landlord run through the real ingress, byte by byte."""

import json
from pathlib import Path
from typing import Any

from landlord_engines_core.models import PolledState
from landlord_test_target.harness import World

RECORDED = Path(__file__).parent.parent / "data" / "landlord-wire" / "restate-dispatch.json"


async def test_every_recorded_dispatch_is_accepted_and_done(world: World) -> None:
    await world.worker(force_compute_provider="mock")
    exchanges: list[dict[str, Any]] = json.loads(RECORDED.read_text())
    ids: dict[str, list[str]] = {}

    for exchange in exchanges:
        request = exchange["request"]
        path = request["path"].replace("TenantProvisioning", world.service)
        headers = {"Content-Type": request["headers"]["Content-Type"]}
        async with world.http.post(
            f"{world.restate.endpoint}{path}", data=request["body_raw"], headers=headers
        ) as response:
            answer = await response.json()
        assert response.status == exchange["response"]["status"] == 202
        assert answer["status"] == exchange["response"]["body"]["status"]
        ids.setdefault(request["body"]["tenant_uuid"], []).append(answer["invocationId"])

    assert len(exchanges) == 15
    for sent in ids.values():
        *_, last = sent
        for dispatch in sent:
            await world.wait_status(dispatch, "completed")
        assert (await world.wait_done(last))["state"] == "succeeded"


async def test_polling_reads_a_state_as_landlord_does(world: World) -> None:
    await world.worker()
    job = await world.send(world.tenant(), "provision", "nomad")
    await world.wait_held(job, "not configured")

    held = await world.dispatcher.poll(job)
    await world.dispatcher.kill(job)
    await world.wait_status(job, "completed")
    killed = await world.dispatcher.poll(job)
    await world.dispatcher.kill(job)

    assert held is not None
    assert held.state is PolledState.BACKING_OFF
    assert killed is not None
    assert killed.state is PolledState.SUCCEEDED
    assert await world.dispatcher.poll("inv_1kryKC7YIpa26JsiRLxzK8aTDqh6rFSIHR") is None
