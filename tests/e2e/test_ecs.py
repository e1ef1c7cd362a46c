"""A tenant on ECS through a real restate-server and real workers; AWS is moto's server."""

from collections.abc import Iterator

import pytest

from landlord_test_target import aws
from landlord_test_target.aws import Aws, keep_rollout_in_progress
from landlord_test_target.harness import Harness, Worker, wait_for


@pytest.fixture(scope="session")
def server() -> Iterator[Aws]:
    with pytest.MonkeyPatch.context() as patch:
        for key, value in aws.ENVIRONMENT.items():
            patch.setenv(key, value)
        with aws.run_moto() as started:
            yield started


async def worker(harness: Harness, server: Aws) -> Worker:
    config = harness.config(compute_provider="ecs")
    config["compute"]["ecs"] = {"endpoint_url": server.endpoint}
    return await (await harness.launch(config)).wait_registered()


async def test_a_tenant_on_ecs_is_created_moved_to_another_cluster_and_deleted(
    harness: Harness, server: Aws
) -> None:
    await worker(harness, server)
    tenant = harness.tenant()
    here = server.config()
    elsewhere = here | {"cluster_arn": server.cluster()}

    created = await harness.wait_done(await harness.send(tenant, "provision", **here))
    moved = await harness.wait_done(await harness.send(tenant, "update", **elsewhere))
    active = [server.service(config).status for config in (here, elsewhere)]
    deleted = await harness.wait_done(await harness.send(tenant, "delete"))

    outputs = (created["output"], moved["output"], deleted["output"])
    assert [output["status"] for output in outputs] == ["created", "created", "deleted"]
    assert active == ["INACTIVE", "ACTIVE"]
    assert server.service(elsewhere).status == "INACTIVE"


async def test_a_worker_killed_during_a_rollout_leaves_it_to_another(
    harness: Harness, server: Aws
) -> None:
    first = await worker(harness, server)
    tenant = harness.tenant()
    config = server.config()
    await harness.wait_done(await harness.send(tenant, "provision", **config))
    keep_rollout_in_progress(server.service(config))
    newer = config | {"task_definition_arn": server.task_definition()}

    job = await harness.send(tenant, "update", **newer)

    async def was_requested() -> bool:
        return bool(server.service(config).task_definition == newer["task_definition_arn"])

    await wait_for(was_requested)
    await first.kill()
    aws.complete_rollout(server.service(config))
    await harness.restart(first)

    answer = await harness.wait_done(job)
    assert answer["output"]["status"] == "updated"
    assert len(server.services(str(config["cluster_arn"]))) == 1
