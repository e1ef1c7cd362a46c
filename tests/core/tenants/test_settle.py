"""Settling: what Landlord says decides, what is there is mended, once."""

import attrs
import pytest
from pytest_httpserver import HTTPServer

from landlord_engines_core import codec
from landlord_engines_core.compute import ComputeResult, Observation, ResourceState
from landlord_engines_core.compute.mock import MockCompute
from landlord_engines_core.errors import Transient
from landlord_engines_core.landlord import LandlordClient
from landlord_engines_core.models import (
    Ended,
    ExecutionState,
    ExecutionStatus,
    Note,
    Placement,
    Record,
)
from landlord_test_target.direct import DirectSteps, Lines, ScriptedCompute, jobs

LOOKED = ["resolve"]
TRIED = ["resolve", "take", "settle"]
MENDED = [*TRIED, "end"]

HERE = Record(placements=(Placement("mock"),))


@attrs.define
class SettleSteps(DirectSteps):
    """A turn that writes down no start, as settling has none."""

    async def take(self, tenant: str, note: Note) -> Record:
        await self.look(tenant)
        self.names.append("take")
        self.record = self.record.placed(note.placement)
        return self.record


@attrs.define
class Api:
    """Landlord, which may change its mind."""

    server: HTTPServer
    client: LandlordClient

    def says(self, *answers: str, **config: object) -> None:
        """Give these statuses one after the other, the last for ever; none is a 404."""
        for status in answers[:-1]:
            self.server.expect_ordered_request("/v1/tenants/t").respond_with_json(
                {"id": "t", "status": status, "desired_config": config}
            )
        expected = self.server.expect_request("/v1/tenants/t")
        if answers:
            expected.respond_with_json(
                {"id": "t", "name": "acme", "status": answers[-1], "desired_config": config}
            )
        else:
            expected.respond_with_json({"error": "Tenant not found"}, status=404)


@pytest.fixture
def api(httpserver: HTTPServer) -> Api:
    httpserver.expect_request("/v1/compute/config").respond_with_json({"error": "no"}, status=400)
    return Api(httpserver, LandlordClient(httpserver.url_for("/")))


def after(operation: str, *gone: Placement) -> Ended:
    return Ended(tenant="t", execution_id="job", operation=operation, gone=gone)


async def settle(
    compute: MockCompute,
    steps: SettleSteps,
    ended: Ended,
    api: Api | None = None,
    *others: tuple[str, MockCompute],
    logger: Lines | None = None,
) -> ExecutionStatus:
    client = api.client if api is not None else None
    tenants = jobs(("mock", compute), *others, landlord=client, logger=logger)
    try:
        return await tenants.settle(ended, steps)
    finally:
        if client is not None:
            await client.aclose()


async def has(compute: MockCompute, **config: object) -> None:
    """Make the tenant's resource."""
    tenants = jobs(("mock", compute))
    await tenants.run(codec.dumps({"tenant_uuid": "t", "desired_config": config}), DirectSteps())


async def test_what_is_as_landlord_says_takes_no_turn(api: Api) -> None:
    compute, steps = MockCompute(), SettleSteps(record=HERE)
    await has(compute, image="x")
    api.says("ready", image="x")

    answer = await settle(compute, steps, after("provision"), api)

    assert steps.names == LOOKED
    assert (answer.state, answer.output.status) == (ExecutionState.SUCCEEDED, "unchanged")


async def test_a_newer_config_is_applied_and_told(api: Api) -> None:
    compute, steps = MockCompute(), SettleSteps(record=HERE)
    await has(compute, image="old")
    api.says("ready", image="new")

    answer = await settle(compute, steps, after("provision"), api)

    assert steps.names == MENDED
    assert compute.resources["t"].config == {"image": "new"}
    assert compute.resources["t"].name == "acme"
    (transition,) = steps.record.transitions
    assert (transition.operation, transition.outcome) == ("settle", "updated")
    assert transition.changes == ("image changed",)
    assert answer.output.transition == transition


async def test_a_resource_that_failed_is_repaired(api: Api) -> None:
    compute, steps = ScriptedCompute(), SettleSteps(record=HERE)
    await has(compute)
    compute.states.extend([ResourceState.FAILED] * 2)
    api.says("ready")

    await settle(compute, steps, after("provision"), api)

    assert steps.record.transitions[0].changes == ("repaired",)


@pytest.mark.parametrize("status", ["requested", "provisioning", "updating", "failed"])
async def test_what_is_neither_ready_nor_archived_is_left_alone(api: Api, status: str) -> None:
    compute, steps = MockCompute(), SettleSteps(record=HERE)
    await has(compute, image="old")
    api.says(status, image="new")

    await settle(compute, steps, after("provision"), api)

    assert steps.names == LOOKED
    assert compute.resources["t"].config == {"image": "old"}


@pytest.mark.parametrize("operation", ["provision", "delete"])
async def test_an_archived_tenant_has_nothing(api: Api, operation: str) -> None:
    compute, steps = MockCompute(), SettleSteps(record=HERE)
    await has(compute)
    api.says("archived")

    await settle(compute, steps, after(operation), api)

    assert compute.resources == {}
    assert steps.record.transitions[0].outcome == "deleted"
    assert steps.record.placements == ()


async def test_a_tenant_that_is_gone_after_its_delete_has_nothing(api: Api) -> None:
    compute, steps = MockCompute(), SettleSteps()
    await has(compute)
    api.says()

    await settle(compute, steps, after("delete", Placement("mock")), api)

    assert compute.resources == {}
    assert steps.names == MENDED


async def test_a_tenant_that_landlord_does_not_know_is_left_alone_without_a_delete(
    api: Api,
) -> None:
    compute, steps = MockCompute(), SettleSteps(record=HERE)
    await has(compute)
    api.says()

    await settle(compute, steps, after("update"), api)

    assert set(compute.resources) == {"t"}
    assert steps.names == LOOKED


@pytest.mark.parametrize(
    ("operation", "names", "left"), [("delete", MENDED, set()), ("update", LOOKED, {"t"})]
)
async def test_without_an_api_only_a_delete_is_looked_at_again(
    operation: str, names: list[str], left: set[str]
) -> None:
    compute, steps = MockCompute(), SettleSteps()
    await has(compute)

    await settle(compute, steps, after(operation, Placement("mock")))

    assert steps.names == names
    assert set(compute.resources) == left


async def test_an_end_is_followed_only_where_there_is_something_to_find_out(api: Api) -> None:
    with_api, without = jobs(landlord=api.client), jobs()

    assert with_api.settles(60.0) == {"provision": 60.0, "update": 60.0, "delete": 60.0}
    assert without.settles(60.0) == {"delete": 60.0}
    assert with_api.settles(0.0) == {}


async def test_what_is_left_where_the_job_made_sure_of_nothing_goes(api: Api) -> None:
    here, there = MockCompute(), MockCompute()
    steps = SettleSteps(record=HERE)
    await has(here)
    await has(there)
    api.says("ready")

    ended = after("update", Placement("c"), Placement("b"))
    await settle(here, steps, ended, api, ("b", there), ("c", MockCompute()))

    assert (set(here.resources), there.resources) == ({"t"}, {})
    (transition,) = steps.record.transitions
    assert (transition.outcome, transition.gone) == ("deleted", ended.gone)
    assert steps.record.placements == (Placement("mock"),)


async def test_a_tenant_is_moved_once_it_is_healthy_there(api: Api) -> None:
    here, there = MockCompute(), MockCompute()
    steps = SettleSteps(record=HERE)
    await has(here)
    api.says("ready", compute_provider="b")

    await settle(here, steps, after("update"), api, ("b", there))

    assert (here.resources, set(there.resources)) == ({}, {"t"})
    assert steps.record.placements == (Placement("b"),)
    assert steps.record.transitions[0].outcome == "created"


async def test_a_tenant_that_is_not_healthy_elsewhere_keeps_what_it_has(api: Api) -> None:
    here = MockCompute()
    there = ScriptedCompute(
        states=[ResourceState.MISSING, ResourceState.MISSING, ResourceState.FAILED]
    )
    steps, logger = SettleSteps(record=HERE), Lines()
    await has(here)
    api.says("ready", compute_provider="b")

    await settle(here, steps, after("update"), api, ("b", there), logger=logger)

    assert (set(here.resources), set(there.resources)) == ({"t"}, {"t"})
    assert steps.record.transitions[0].detail == "it is failed on b, and stays elsewhere too"
    assert set(steps.record.placements) == {Placement("mock"), Placement("b")}
    assert logger.events("warning") == ["settled"]


async def test_a_tenant_whose_record_names_no_place_is_left_alone(api: Api) -> None:
    compute, steps = MockCompute(), SettleSteps()
    api.says("ready")

    await settle(compute, steps, after("provision"), api)

    assert compute.resources == {}
    assert steps.names == ["resolve"]


async def test_what_is_wanted_where_no_record_leads_is_told_and_not_made(api: Api) -> None:
    here, there = MockCompute(), MockCompute()
    steps = SettleSteps(record=HERE)
    await has(here, image="old")
    first = {"id": "t", "status": "ready", "desired_config": {"image": "new"}}
    api.server.expect_ordered_request("/v1/tenants/t").respond_with_json(first)
    api.says("ready", image="new", compute_provider="b")

    await settle(here, steps, after("update"), api, ("b", there))

    assert there.resources == {}
    assert steps.record.transitions[0].detail == (
        "another place is wanted by now than was written down"
    )


async def test_a_config_that_is_rolled_back_is_told_and_left(api: Api) -> None:
    compute, steps = ScriptedCompute(), SettleSteps(record=HERE)
    await has(compute, image="old")
    api.says("ready", image="new")
    compute.results.append(ComputeResult(rolled_back="it crashed"))

    await settle(compute, steps, after("update"), api)

    (transition,) = steps.record.transitions
    assert (transition.outcome, transition.detail) == ("rolled-back", "it crashed")
    assert compute.resources["t"].config == {"image": "old"}


async def test_a_config_that_is_refused_is_told_without_its_values(api: Api) -> None:
    schema = {"properties": {"password": {"type": "integer"}}}
    compute, steps, logger = ScriptedCompute(schema=schema), SettleSteps(record=HERE), Lines()
    api.says("ready", password="canary")

    await settle(compute, steps, after("update"), api, logger=logger)

    (transition,) = steps.record.transitions
    assert transition.outcome == "refused"
    assert transition.detail.startswith("mock refuses the configuration: $.password breaks")
    assert steps.record.placements == HERE.placements
    assert "canary" not in f"{steps.record}{logger.lines}"


async def test_a_config_that_is_nested_too_deeply_is_told_and_left(api: Api) -> None:
    class Deep(MockCompute):
        async def inspect(self, tenant: str, place: str) -> Observation:
            raise RecursionError

    steps = SettleSteps(record=HERE)
    api.says("ready")

    await settle(Deep(), steps, after("update"), api)

    assert steps.record.transitions[0].detail == "the configuration is nested too deeply"


async def test_an_engine_that_is_not_here_is_told(api: Api) -> None:
    steps = SettleSteps(record=Record(placements=(Placement("nomad"),)))
    api.says("archived")

    await settle(MockCompute(), steps, after("update"), api)

    (transition,) = steps.record.transitions
    assert transition.outcome == "refused"
    assert "'nomad' is not configured" in transition.detail
    assert steps.record.placements == (Placement("nomad"),)


async def test_what_changed_before_the_turn_was_taken_is_left_alone(api: Api) -> None:
    compute, steps = MockCompute(), SettleSteps(record=HERE)
    await has(compute, image="old")
    api.says("ready", "updating", image="new")

    answer = await settle(compute, steps, after("update"), api)

    assert steps.names == [*TRIED, "end"]
    assert answer.output.status == "unchanged"
    assert steps.record.transitions == ()
    assert compute.resources["t"].config == {"image": "old"}


async def test_a_job_that_came_first_is_given_way_to(api: Api) -> None:
    compute, steps = MockCompute(), SettleSteps(overtaken=True)
    api.says("ready")

    answer = await settle(compute, steps, after("update"), api)

    assert (answer.state, answer.output.status) == (ExecutionState.CANCELLED, "superseded")
    assert compute.resources == {}


async def test_without_an_answer_of_the_api_it_is_tried_again(api: Api) -> None:
    api.server.expect_request("/v1/tenants/t").respond_with_data("oh", status=500)

    with pytest.raises(Transient, match="answered tenants/t with status 500"):
        await settle(MockCompute(), SettleSteps(record=HERE), after("update"), api)


async def test_where_many_are_being_settled_one_more_comes_again_and_waits_for_nothing() -> None:
    tenants = jobs(("mock", MockCompute()), max_concurrent_jobs=1)

    async with tenants._looks:
        with pytest.raises(Transient, match="many tenants are being settled"):
            await tenants.settle(after("delete"), SettleSteps(record=HERE))
