"""The engine under the tenant lifecycle, as jobs use it."""

import json
from collections.abc import Mapping

import pytest

from landlord_engines_core.compute import ComputeEngine
from landlord_engines_core.errors import Held, Transient
from landlord_engines_core.models import Output, Placement, Record
from landlord_engines_core.tenants import TenantJobs
from landlord_test_target.aws import ROLE, Aws, Ecs, fail_rollout
from landlord_test_target.compute_engines import ecs_engine
from landlord_test_target.in_memory import InMemorySteps, RecordingLogger, build_tenant_jobs


class Tenant:
    """A tenant, its record, and a way to run its jobs."""

    def __init__(self, tenants: TenantJobs) -> None:
        self.tenants = tenants
        self.record = Record()
        self.ran = 0

    async def job(self, operation: str, config: Mapping[str, object] | None = None) -> Output:
        self.ran += 1
        steps = InMemorySteps(f"job-{self.ran}", self.record)
        body = {"tenant_id": "acme", "tenant_uuid": "one", "operation": operation}
        text = json.dumps({**body, "desired_config": config or {}}).encode()
        try:
            return (await self.tenants.run(text, steps)).output
        finally:
            self.record = steps.record


def lifecycle(engine: ComputeEngine, *, health_timeout: float = 30.0) -> TenantJobs:
    return build_tenant_jobs(("ecs", engine), health_timeout=health_timeout, step_timeout=60.0)


@pytest.fixture
def tenant(ecs: Ecs) -> Tenant:
    return Tenant(lifecycle(ecs.engine))


def active_services(aws: Aws, config: Mapping[str, object]) -> list[str]:
    services = aws.services(str(config["cluster_arn"]))
    return [name for name, service in services.items() if service.status == "ACTIVE"]


async def test_a_tenant_is_created_updated_and_deleted(ecs: Ecs, tenant: Tenant) -> None:
    config = ecs.aws.config()
    newer = config | {"task_definition_arn": ecs.aws.task_definition(), "desired_count": 3}

    created = await tenant.job("provision", config)
    again = await tenant.job("provision", config)
    updated = await tenant.job("update", newer)
    deleted = await tenant.job("delete")
    absent = await tenant.job("delete")

    outputs = (created, again, updated, deleted, absent)
    assert [output.status for output in outputs] == [
        "created",
        "unchanged",
        "updated",
        "deleted",
        "absent",
    ]
    assert updated.changes == ("desired_count changed", "task_definition_arn changed")
    assert created.resource_ids == again.resource_ids
    assert active_services(ecs.aws, config) == []
    assert tenant.record.placements == ()


async def test_a_move_provisions_the_new_cluster_before_it_clears_the_old_one(
    ecs: Ecs, tenant: Tenant
) -> None:
    here = ecs.aws.config()
    elsewhere = here | {"cluster_arn": ecs.aws.cluster()}
    await tenant.job("provision", here)
    services: list[tuple[str, list[str], list[str]]] = []
    moving = ecs.with_failpoint_action(
        lambda point: services.append(
            (point, active_services(ecs.aws, here), active_services(ecs.aws, elsewhere))
        )
    )
    tenant.tenants = lifecycle(moving.engine)

    moved = await tenant.job("update", elsewhere)

    name = "landlord-tenant-one"
    assert moved.status == "created"
    assert services == [
        ("create:sent", [name], [name]),
        ("tags:written", [name], [name]),
        ("destroy:sent", [], [name]),
    ]
    (placement,) = tenant.record.placements
    assert str(elsewhere["cluster_arn"]) in placement.location


@pytest.mark.parametrize(
    "changes",
    [
        {"service_name_prefix": "acme-"},
        {"service_name": "acme"},
        {"assume_role": {"role_arn": ROLE}},
        {"region": "eu-west-1", "cluster_arn": "its short name"},
    ],
)
async def test_another_spelling_of_the_same_location_leaves_one_service(
    ecs: Ecs, tenant: Tenant, changes: dict[str, object]
) -> None:
    config = ecs.aws.config()
    after = config | changes
    if "region" in changes:
        after["cluster_arn"] = str(config["cluster_arn"]).split("/")[1]
    await tenant.job("provision", config)

    await tenant.job("update", after)

    assert len(active_services(ecs.aws, config)) == 1
    again = await tenant.job("update", after)
    assert again.status == "unchanged"
    await tenant.job("delete")
    assert active_services(ecs.aws, config) == []


async def test_a_new_service_name_allows_another_launch_type(ecs: Ecs, tenant: Tenant) -> None:
    config = ecs.aws.config(launch_type="EC2")
    fargate = config | {"launch_type": "FARGATE"}
    await tenant.job("provision", config)

    with pytest.raises(Held, match="launch_type"):
        await tenant.job("update", fargate)
    await tenant.job("update", fargate | {"service_name_prefix": "fargate-"})

    assert active_services(ecs.aws, config) == ["fargate-one"]


async def test_a_delete_without_a_record_finds_the_service_by_the_configuration(
    ecs: Ecs, tenant: Tenant
) -> None:
    config = ecs.aws.config()
    await tenant.job("provision", config)
    tenant.record = Record()

    deleted = await tenant.job("delete", config)

    assert deleted.status == "deleted"
    assert active_services(ecs.aws, config) == []


async def test_a_delete_after_a_restart_of_the_worker_removes_the_service(
    ecs: Ecs, tenant: Tenant, server: Aws
) -> None:
    config = ecs.aws.config()
    await tenant.job("provision", config)
    restarted = ecs_engine({"endpoint_url": server.endpoint})
    tenant.tenants = lifecycle(restarted)

    deleted = await tenant.job("delete")
    await restarted.aclose()

    assert deleted.status == "deleted"
    assert active_services(ecs.aws, config) == []


async def test_a_failed_rollout_holds_the_job_with_ecs_reason(ecs: Ecs, tenant: Tenant) -> None:
    config = ecs.aws.config()
    await tenant.job("provision", config)

    def reached(point: str) -> None:
        if point == "update:sent":
            fail_rollout(ecs.aws.service(config), "tasks failed to start")

    tenant.tenants = lifecycle(ecs.with_failpoint_action(reached).engine)
    with pytest.raises(Held, match="rolled back, the previous resource serves: tasks failed"):
        await tenant.job("update", config | {"task_definition_arn": ecs.aws.task_definition()})

    assert ecs.aws.service(config).task_definition == config["task_definition_arn"]


async def test_a_service_that_does_not_become_steady_is_no_success(
    ecs: Ecs, tenant: Tenant
) -> None:
    tenant.tenants = lifecycle(ecs.engine, health_timeout=0.1)

    with pytest.raises(Transient, match="starting, not healthy: 1 of 2 tasks run"):
        await tenant.job("provision", ecs.aws.config(desired_count=2))


async def test_a_rollout_that_failed_is_reported_with_ecs_reason(ecs: Ecs, tenant: Tenant) -> None:
    config = ecs.aws.config()

    def reached(point: str) -> None:
        if point == "tags:written":
            fail_rollout(ecs.aws.service(config), "tasks failed to start")

    tenant.tenants = lifecycle(ecs.with_failpoint_action(reached).engine)
    with pytest.raises(Held, match="no previous one to return to: tasks failed to start"):
        await tenant.job("provision", config)


async def test_a_service_deleted_from_outside_is_recreated(ecs: Ecs, tenant: Tenant) -> None:
    config = ecs.aws.config()
    await tenant.job("provision", config)
    ecs.aws.ecs().delete_service(config["cluster_arn"], "landlord-tenant-one", force=True)

    again = await tenant.job("update", config)

    assert again.status == "created"
    assert active_services(ecs.aws, config) == ["landlord-tenant-one"]


async def test_values_of_a_configuration_are_in_no_log_no_record_and_no_answer(
    ecs: Ecs,
) -> None:
    logger = RecordingLogger()
    tenant = Tenant(
        build_tenant_jobs(
            ("ecs", ecs.engine), logger=logger, health_timeout=30.0, step_timeout=60.0
        )
    )
    config = ecs.aws.config(tags={"password": "hunter2"}, token="hunter2")

    output = await tenant.job("provision", config)
    updated = await tenant.job("update", config | {"tags": {"password": "hunter22"}})

    assert updated.changes == ("tags changed",)
    assert "hunter2" not in f"{output} {updated} {tenant.record} {logger.lines}"


async def test_a_location_recorded_by_another_engine_of_this_name_is_reported(
    ecs: Ecs, tenant: Tenant
) -> None:
    tenant.record = Record(placements=(Placement("ecs", "somewhere else"),))

    with pytest.raises(Held, match="not one of the engine ecs"):
        await tenant.job("delete")
