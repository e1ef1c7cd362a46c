"""The recorded requests of Landlord run through the real ingress, byte by byte."""

import json
from pathlib import Path
from typing import Any

from landlord_engines_core.models import PolledState
from landlord_test_target.harness import Harness

RECORDED = Path(__file__).parent.parent / "data" / "landlord-wire" / "restate-dispatch.json"


async def test_every_recorded_dispatch_is_accepted_and_done(harness: Harness) -> None:
    await harness.worker(force_compute_provider="mock")
    exchanges: list[dict[str, Any]] = json.loads(RECORDED.read_text())
    ids: dict[str, list[str]] = {}

    for exchange in exchanges:
        request = exchange["request"]
        path = request["path"].replace("TenantProvisioning", harness.service)
        headers = {"Content-Type": request["headers"]["Content-Type"]}
        async with harness.http.post(
            f"{harness.restate.endpoint}{path}", data=request["body_raw"], headers=headers
        ) as response:
            answer = await response.json()
        assert response.status == exchange["response"]["status"] == 202
        assert answer["status"] == exchange["response"]["body"]["status"]
        ids.setdefault(request["body"]["tenant_uuid"], []).append(answer["invocationId"])

    assert len(exchanges) == 15
    for sent in ids.values():
        *_, last = sent
        for dispatch in sent:
            await harness.wait_status(dispatch, "completed")
        assert (await harness.wait_done(last))["state"] == "succeeded"


async def test_polling_reads_a_state_as_landlord_does(harness: Harness) -> None:
    await harness.worker()
    job = await harness.send(harness.tenant(), "provision", "nomad")
    await harness.wait_held(job, "not configured")

    held = await harness.dispatcher.poll(job)
    await harness.dispatcher.kill(job)
    await harness.wait_status(job, "completed")
    killed = await harness.dispatcher.poll(job)
    await harness.dispatcher.kill(job)

    assert held is not None
    assert held.state is PolledState.BACKING_OFF
    assert killed is not None
    assert killed.state is PolledState.SUCCEEDED
    assert await harness.dispatcher.poll("inv_1kryKC7YIpa26JsiRLxzK8aTDqh6rFSIHR") is None
