import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from pytest_httpserver import HTTPServer

from landlord_engines_core.compute import Observation
from landlord_engines_core.compute.mock import MockCompute
from landlord_engines_core.errors import ComputeRefused, ComputeUnavailable, SettingsError
from landlord_engines_core.landlord import LandlordClient
from landlord_engines_core.models import Placement, Record
from landlord_engines_core.tenants.planning import TenantPlan, TenantPlanner
from landlord_test_target.commands import spec
from landlord_test_target.in_memory import build_tenant_jobs
from landlord_test_target.tenant_api import Landlord

ON_NEW = Placement("new")


@pytest.fixture
def engines() -> dict[str, MockCompute]:
    return {"old": MockCompute(), "new": MockCompute()}


@pytest.fixture
def landlord(httpserver: HTTPServer) -> Landlord:
    return Landlord(httpserver)


@pytest_asyncio.fixture
async def planner(
    engines: dict[str, MockCompute], landlord: Landlord
) -> AsyncIterator[TenantPlanner]:
    client = LandlordClient(landlord.url)
    yield build_tenant_jobs(*engines.items(), landlord=client).planner
    await client.aclose()


async def test_a_missing_resource_would_be_provisioned(
    planner: TenantPlanner, landlord: Landlord, engines: dict[str, MockCompute]
) -> None:
    landlord.set_tenant("t", "ready", "new", size=1)

    plan = await planner.plan("t", Record())

    assert plan == TenantPlan(action="provision", status="ready", placement=ON_NEW)
    assert not plan.is_empty
    assert engines["new"].resources == {}


async def test_changed_keys_are_named_without_their_values(
    planner: TenantPlanner, landlord: Landlord, engines: dict[str, MockCompute]
) -> None:
    await engines["new"].provision(spec({"size": 1, "password": "old"}))
    landlord.set_tenant("t", "ready", "new", size=1, password="a secret")

    plan = await planner.plan("t", Record(placements=(ON_NEW,)))

    assert (plan.action, plan.changes) == ("update", ("password changed",))
    assert "secret" not in str(plan)


async def test_what_is_there_needs_nothing(
    planner: TenantPlanner, landlord: Landlord, engines: dict[str, MockCompute]
) -> None:
    await engines["new"].provision(spec({"size": 1}))
    landlord.set_tenant("t", "updating", "new", size=1)

    plan = await planner.plan("t", Record(placements=(ON_NEW,)))

    assert plan.is_empty
    assert plan.placement == ON_NEW


async def test_a_tenant_that_moves_is_removed_from_where_it_was(
    planner: TenantPlanner, landlord: Landlord, engines: dict[str, MockCompute]
) -> None:
    await engines["old"].provision(spec({}))
    landlord.set_tenant("t", "ready", "new")

    plan = await planner.plan("t", Record(placements=(Placement("old"), ON_NEW)))

    assert (plan.action, plan.removed) == ("provision", (Placement("old"),))


@pytest.mark.parametrize("status", ["archiving", "archived"])
async def test_the_resource_of_an_archived_tenant_would_be_deleted(
    planner: TenantPlanner, landlord: Landlord, engines: dict[str, MockCompute], status: str
) -> None:
    landlord.set_tenant("t", status, "new")
    assert (await planner.plan("t", Record(placements=(ON_NEW,)))).is_empty

    await engines["new"].provision(spec({}))
    plan = await planner.plan("t", Record(placements=(ON_NEW,)))

    assert plan == TenantPlan(action="delete", status=status, removed=(ON_NEW,))


async def test_nothing_is_planned_for_a_tenant_that_landlord_does_not_know(
    planner: TenantPlanner,
) -> None:
    plan = await planner.plan("t", Record(placements=(ON_NEW,)))

    assert plan.is_empty
    assert plan.status == ""


async def test_a_configuration_that_would_be_held_is_an_error(
    planner: TenantPlanner, landlord: Landlord
) -> None:
    landlord.set_tenant("t", "ready", "nowhere")

    with pytest.raises(ComputeRefused, match="'nowhere' is not configured"):
        await planner.plan("t", Record())


class HangingCompute(MockCompute):
    """An engine whose target never answers."""

    async def inspect(self, tenant: str, location: str) -> Observation:
        _ = tenant, location
        return await asyncio.Future[Observation]()


async def test_a_plan_whose_target_never_answers_ends_after_the_limit_of_a_step(
    landlord: Landlord,
) -> None:
    landlord.set_tenant("t", "ready", "new", size=1)
    client = LandlordClient(landlord.url)
    engine = ("new", HangingCompute())
    planner = build_tenant_jobs(engine, landlord=client, step_timeout=0.05).planner

    with pytest.raises(ComputeUnavailable, match=r"the plan was not ready within 0\.05 s"):
        await planner.plan("t", Record())
    await client.aclose()


async def test_a_plan_without_landlords_api_names_the_setting() -> None:
    with pytest.raises(SettingsError, match=r"worker\.landlord_api_url is not set"):
        await build_tenant_jobs().planner.plan("t", Record())
