"""A tenant on ECS through a real restate-server and real workers; AWS is moto's server."""

from collections.abc import Iterator

import pytest

from landlord_test_target import aws
from landlord_test_target.aws import Aws, keep_rollout_in_progress
from landlord_test_target.harness import Worker, World, wait_for


@pytest.fixture(scope="session")
def server() -> Iterator[Aws]:
    with pytest.MonkeyPatch.context() as patch:
        for key, value in aws.ENVIRONMENT.items():
            patch.setenv(key, value)
        with aws.run_moto() as started:
            yield started


async def worker(world: World, server: Aws) -> Worker:
    config = world.config(compute_provider="ecs")
    config["compute"]["ecs"] = {"endpoint_url": server.endpoint}
    return await (await world.launch(config)).wait_registered()


async def test_a_tenant_on_ecs_is_created_moved_to_another_cluster_and_deleted(
    world: World, server: Aws
) -> None:
    await worker(world, server)
    tenant = world.tenant()
    here = server.config()
    there = here | {"cluster_arn": server.cluster()}

    created = await world.wait_done(await world.send(tenant, "provision", **here))
    moved = await world.wait_done(await world.send(tenant, "update", **there))
    active = [server.service(config).status for config in (here, there)]
    deleted = await world.wait_done(await world.send(tenant, "delete"))

    outputs = (created["output"], moved["output"], deleted["output"])
    assert [output["status"] for output in outputs] == ["created", "created", "deleted"]
    assert active == ["INACTIVE", "ACTIVE"]
    assert server.service(there).status == "INACTIVE"


async def test_a_worker_killed_during_a_rollout_leaves_it_to_another(
    world: World, server: Aws
) -> None:
    first = await worker(world, server)
    tenant = world.tenant()
    config = server.config()
    await world.wait_done(await world.send(tenant, "provision", **config))
    keep_rollout_in_progress(server.service(config))
    newer = config | {"task_definition_arn": server.task_definition()}

    job = await world.send(tenant, "update", **newer)

    async def asked() -> bool:
        return bool(server.service(config).task_definition == newer["task_definition_arn"])

    await wait_for(asked)
    await first.kill()
    aws.complete_rollout(server.service(config))
    await world.restart(first)

    answer = await world.wait_done(job)
    assert answer["output"]["status"] == "updated"
    assert len(server.services(str(config["cluster_arn"]))) == 1
