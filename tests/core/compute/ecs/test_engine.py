from landlord_engines_core.compute import ResourceState
from landlord_test_target.aws import Ecs


async def test_a_tenant_becomes_a_service_with_landlords_tags(ecs: Ecs) -> None:
    config = ecs.aws.config(tags={"team": "blue"})
    spec = ecs.spec(config)

    missing = await ecs.engine.inspect("one", spec.place)
    made = await ecs.engine.provision(spec)
    seen = await ecs.engine.inspect("one", spec.place)

    assert missing.state is ResourceState.MISSING
    services = ecs.aws.services(str(config["cluster_arn"]))
    (service,) = services.values()
    tags = ecs.aws.tags(service)
    assert list(services) == ["landlord-tenant-one"]
    assert service.desired_count == 1
    assert made.resource_ids["task_definition"] == config["task_definition_arn"]
    assert tags["landlord.owner"] == "landlord"
    assert tags["landlord.tenant_id"] == "one"
    assert tags["landlord.provider"] == "ecs"
    assert tags["team"] == "blue"
    assert seen.state is ResourceState.HEALTHY
    assert (seen.config_hash, seen.key_hashes) == (spec.config_hash, spec.key_hashes)


async def test_delete(ecs: Ecs) -> None:
    spec = ecs.spec(ecs.aws.config())
    await ecs.engine.provision(spec)

    existed = await ecs.engine.destroy("one", spec.place)
    seen = await ecs.engine.inspect("one", spec.place)
    again = await ecs.engine.destroy("one", spec.place)

    assert (existed, again) == (True, False)
    assert seen.state is ResourceState.MISSING
