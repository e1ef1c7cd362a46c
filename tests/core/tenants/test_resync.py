"""A resync compares the tenant with Landlord's answer and repairs differences once."""

import attrs
import pytest
from pytest_httpserver import HTTPServer

from landlord_engines_core import codec
from landlord_engines_core.compute import (
    ComputeResult,
    ComputeSpec,
    Observation,
    ResourceState,
)
from landlord_engines_core.compute.mock import MockCompute
from landlord_engines_core.errors import StillRunning, Transient
from landlord_engines_core.landlord import LandlordClient
from landlord_engines_core.models import (
    CompletedJob,
    ExecutionState,
    ExecutionStatus,
    FollowUp,
    JobStart,
    Placement,
    Record,
    Resynced,
    Transition,
    config_hash,
)
from landlord_engines_core.tenants.results import ResyncCheck
from landlord_test_target.in_memory import (
    InMemorySteps,
    RecordingLogger,
    ScriptedCompute,
    build_tenant_jobs,
)

ONLY_RESOLVED = ["resolve"]
STEPS_WITHOUT_REPAIR = ["resolve", "acquire", "resync"]
STEPS_WITH_REPAIR = [*STEPS_WITHOUT_REPAIR, "complete"]

ENDED = Transition(execution_id="job", operation="update", started_at="t", ended_at="t")
NOWHERE = Record(transitions=(ENDED,))
HERE = attrs.evolve(NOWHERE, placements=(Placement("mock"),))
KILLED = Record(placements=(Placement("mock"),)).with_start(
    "job", JobStart(operation="update", started_at="t")
)


@attrs.define
class StepsOfResync(InMemorySteps):
    """Steps whose lock records no start, as for a resync."""

    async def acquire(self, tenant: str, start: JobStart) -> Record:
        await self.read_record(tenant)
        self.names.append("acquire")
        self.record = self.record.with_placement(start.placement)
        return self.record

    @property
    def recorded_resyncs(self) -> tuple[Transition, ...]:
        """Return the resyncs in the history."""
        return tuple(
            transition for transition in self.record.transitions if transition.operation == "resync"
        )


@attrs.define
class LandlordApi:
    """Landlord's API, whose answer may change between two requests."""

    server: HTTPServer
    client: LandlordClient

    def respond(self, *answers: str, **config: object) -> None:
        """Answer with these statuses in order, and repeat the last one; no status is a 404."""
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
def api(httpserver: HTTPServer) -> LandlordApi:
    httpserver.expect_request("/v1/compute/config").respond_with_json({"error": "no"}, status=400)
    return LandlordApi(httpserver, LandlordClient(httpserver.url_for("/")))


def after(operation: str, *gone: Placement) -> CompletedJob:
    return CompletedJob(tenant="t", execution_id="job", operation=operation, removed=gone)


async def resync_answer(
    compute: MockCompute,
    steps: StepsOfResync,
    ended: CompletedJob,
    api: LandlordApi | None = None,
    *others: tuple[str, MockCompute],
    logger: RecordingLogger | None = None,
) -> ExecutionStatus:
    return (await resync(compute, steps, ended, api, *others, logger=logger)).answer


async def resync(
    compute: MockCompute,
    steps: StepsOfResync,
    ended: CompletedJob,
    api: LandlordApi | None = None,
    *others: tuple[str, MockCompute],
    logger: RecordingLogger | None = None,
) -> Resynced:
    client = api.client if api is not None else None
    tenants = build_tenant_jobs(("mock", compute), *others, landlord=client, logger=logger)
    try:
        return await tenants.resync(ended, steps)
    finally:
        if client is not None:
            await client.aclose()


async def provision_tenant(compute: MockCompute, **config: object) -> None:
    """Create the tenant's resource."""
    tenants = build_tenant_jobs(("mock", compute))
    await tenants.run(codec.dumps({"tenant_uuid": "t", "desired_config": config}), InMemorySteps())


async def test_a_resync_without_a_difference_takes_no_lock(api: LandlordApi) -> None:
    compute, steps = MockCompute(), StepsOfResync(record=HERE)
    await provision_tenant(compute, image="x")
    api.respond("ready", image="x")

    answer = await resync_answer(compute, steps, after("provision"), api)

    assert steps.names == ONLY_RESOLVED
    assert (answer.state, answer.output.status) == (ExecutionState.SUCCEEDED, "unchanged")


async def test_a_newer_config_is_applied_and_recorded(api: LandlordApi) -> None:
    compute, steps = MockCompute(), StepsOfResync(record=HERE)
    await provision_tenant(compute, image="old")
    api.respond("ready", image="new")

    answer = await resync_answer(compute, steps, after("provision"), api)

    assert steps.names == STEPS_WITH_REPAIR
    assert compute.resources["t"].config == {"image": "new"}
    assert compute.resources["t"].name == "acme"
    (transition,) = steps.recorded_resyncs
    assert (transition.operation, transition.outcome) == ("resync", "updated")
    assert transition.changes == ("image changed",)
    assert answer.output.transition == transition


async def test_a_resource_that_failed_is_repaired(api: LandlordApi) -> None:
    compute, steps = ScriptedCompute(), StepsOfResync(record=HERE)
    await provision_tenant(compute)
    compute.states.extend([ResourceState.FAILED] * 2)
    api.respond("ready")

    await resync_answer(compute, steps, after("provision"), api)

    assert steps.recorded_resyncs[0].changes == ("repaired",)


@pytest.mark.parametrize("status", ["requested", "provisioning", "updating", "failed"])
async def test_a_tenant_that_is_neither_ready_nor_archived_is_left_alone(
    api: LandlordApi, status: str
) -> None:
    compute, steps = MockCompute(), StepsOfResync(record=HERE)
    await provision_tenant(compute, image="old")
    api.respond(status, image="new")

    await resync_answer(compute, steps, after("provision"), api)

    assert steps.names == ONLY_RESOLVED
    assert compute.resources["t"].config == {"image": "old"}


@pytest.mark.parametrize("operation", ["provision", "delete"])
async def test_a_resync_removes_the_resource_of_an_archived_tenant(
    api: LandlordApi, operation: str
) -> None:
    compute, steps = MockCompute(), StepsOfResync(record=HERE)
    await provision_tenant(compute)
    api.respond("archived")

    await resync_answer(compute, steps, after(operation), api)

    assert compute.resources == {}
    assert steps.recorded_resyncs[0].outcome == "deleted"
    assert steps.record.placements == ()


async def test_a_resync_removes_the_resource_of_a_deleted_tenant(api: LandlordApi) -> None:
    compute, steps = MockCompute(), StepsOfResync(record=NOWHERE)
    await provision_tenant(compute)
    api.respond()

    await resync_answer(compute, steps, after("delete", Placement("mock")), api)

    assert compute.resources == {}
    assert steps.names == STEPS_WITH_REPAIR


async def test_a_deleted_tenant_without_a_record_is_inspected_anyway() -> None:
    compute, steps = MockCompute(), StepsOfResync(record=Record())
    await provision_tenant(compute)

    await resync_answer(compute, steps, after("delete", Placement("mock")))

    assert compute.resources == {}


async def test_a_tenant_that_landlord_does_not_know_is_left_alone_without_a_delete(
    api: LandlordApi,
) -> None:
    compute, steps = MockCompute(), StepsOfResync(record=HERE)
    await provision_tenant(compute)
    api.respond()

    await resync_answer(compute, steps, after("update"), api)

    assert set(compute.resources) == {"t"}
    assert steps.names == ONLY_RESOLVED


@pytest.mark.parametrize(
    ("operation", "names", "left"),
    [("delete", STEPS_WITH_REPAIR, set()), ("update", ONLY_RESOLVED, {"t"})],
)
async def test_without_an_api_only_deletes_are_resynced(
    operation: str, names: list[str], left: set[str]
) -> None:
    compute, steps = MockCompute(), StepsOfResync(record=NOWHERE)
    await provision_tenant(compute)

    await resync_answer(compute, steps, after(operation, Placement("mock")))

    assert steps.names == names
    assert set(compute.resources) == left


async def test_leftovers_at_unconfirmed_locations_of_a_delete_are_removed(api: LandlordApi) -> None:
    old, new = MockCompute(), MockCompute()
    steps = StepsOfResync(record=HERE)
    await provision_tenant(old)
    await provision_tenant(new)
    api.respond("ready")

    ended = after("update", Placement("c"), Placement("b"))
    await resync_answer(old, steps, ended, api, ("b", new), ("c", MockCompute()))

    assert (set(old.resources), new.resources) == ({"t"}, {})
    (transition,) = steps.recorded_resyncs
    assert (transition.outcome, transition.removed) == ("deleted", ended.removed)
    assert steps.record.placements == (Placement("mock"),)


async def test_a_resync_moves_a_tenant_once_it_is_healthy_at_the_new_location(
    api: LandlordApi,
) -> None:
    old, new = MockCompute(), MockCompute()
    steps = StepsOfResync(record=HERE)
    await provision_tenant(old)
    api.respond("ready", compute_provider="b")

    await resync_answer(old, steps, after("update"), api, ("b", new))

    assert (old.resources, set(new.resources)) == ({}, {"t"})
    assert steps.record.placements == (Placement("b"),)
    assert steps.recorded_resyncs[0].outcome == "created"


async def test_a_tenant_that_is_unhealthy_at_the_new_location_keeps_the_old_one(
    api: LandlordApi,
) -> None:
    old = MockCompute()
    new = ScriptedCompute(
        states=[ResourceState.MISSING, ResourceState.MISSING, ResourceState.FAILED]
    )
    steps, logger = StepsOfResync(record=HERE), RecordingLogger()
    await provision_tenant(old)
    api.respond("ready", compute_provider="b")

    await resync_answer(old, steps, after("update"), api, ("b", new), logger=logger)

    assert (set(old.resources), set(new.resources)) == ({"t"}, {"t"})
    assert (
        steps.recorded_resyncs[0].detail == "the resource on b is failed; the previous one is kept"
    )
    assert set(steps.record.placements) == {Placement("mock"), Placement("b")}
    assert logger.events("warning") == ["stable"]


async def test_a_new_location_is_recorded_before_the_tenant_is_created_there(
    api: LandlordApi,
) -> None:
    noted: list[tuple[Placement, ...]] = []

    class Watched(MockCompute):
        async def provision(self, spec: ComputeSpec) -> ComputeResult:
            noted.append(steps.record.placements)
            return await super().provision(spec)

    compute, steps = Watched(), StepsOfResync(record=NOWHERE)
    api.respond("ready", image="x")

    answer = await resync_answer(compute, steps, after("delete"), api)

    assert noted == [(Placement("mock"),)]
    assert compute.resources["t"].config == {"image": "x"}
    assert steps.names == STEPS_WITH_REPAIR
    assert answer.output.status == "created"


async def test_a_tenant_wanted_at_an_unrecorded_location_is_reported_and_not_created(
    api: LandlordApi,
) -> None:
    old, new = MockCompute(), MockCompute()
    steps = StepsOfResync(record=HERE)
    await provision_tenant(old, image="old")
    first = {"id": "t", "status": "ready", "desired_config": {"image": "new"}}
    api.server.expect_ordered_request("/v1/tenants/t").respond_with_json(first)
    api.respond("ready", image="new", compute_provider="b")

    await resync_answer(old, steps, after("update"), api, ("b", new))

    assert new.resources == {}
    assert steps.recorded_resyncs[0].detail == (
        "the desired placement changed since it was recorded; nothing was done"
    )


async def test_a_rolled_back_config_is_recorded_and_not_retried(api: LandlordApi) -> None:
    compute, steps = ScriptedCompute(), StepsOfResync(record=HERE)
    await provision_tenant(compute, image="old")
    api.respond("ready", image="new")
    compute.results.append(ComputeResult(rolled_back="it crashed"))

    await resync_answer(compute, steps, after("update"), api)

    (transition,) = steps.recorded_resyncs
    assert (transition.outcome, transition.detail) == ("rolled-back", "it crashed")
    assert compute.resources["t"].config == {"image": "old"}


async def test_a_refused_config_is_recorded_without_its_values(api: LandlordApi) -> None:
    schema = {"properties": {"password": {"type": "integer"}}}
    compute, steps, logger = (
        ScriptedCompute(schema=schema),
        StepsOfResync(record=HERE),
        RecordingLogger(),
    )
    api.respond("ready", password="canary")

    await resync_answer(compute, steps, after("update"), api, logger=logger)

    (transition,) = steps.recorded_resyncs
    assert transition.outcome == "refused"
    assert transition.detail.startswith("mock refuses the configuration: $.password breaks")
    assert steps.record.placements == HERE.placements
    assert "canary" not in f"{steps.record}{logger.lines}"


async def test_a_config_nested_too_deeply_is_recorded_and_not_retried(api: LandlordApi) -> None:
    class Deep(MockCompute):
        async def inspect(self, tenant: str, location: str) -> Observation:
            raise RecursionError

    steps = StepsOfResync(record=HERE)
    api.respond("ready")

    await resync_answer(Deep(), steps, after("update"), api)

    assert steps.recorded_resyncs[0].detail == "the configuration is nested too deeply"


async def test_an_engine_that_this_worker_lacks_is_recorded(api: LandlordApi) -> None:
    steps = StepsOfResync(record=attrs.evolve(NOWHERE, placements=(Placement("nomad"),)))
    api.respond("archived")

    await resync_answer(MockCompute(), steps, after("update"), api)

    (transition,) = steps.recorded_resyncs
    assert transition.outcome == "refused"
    assert "'nomad' is not configured" in transition.detail
    assert steps.record.placements == (Placement("nomad"),)


async def test_a_tenant_that_changed_before_the_lock_was_acquired_is_left_alone(
    api: LandlordApi,
) -> None:
    compute, steps = MockCompute(), StepsOfResync(record=HERE)
    await provision_tenant(compute, image="old")
    api.respond("ready", "updating", image="new")

    answer = await resync_answer(compute, steps, after("update"), api)

    assert steps.names == [*STEPS_WITHOUT_REPAIR, "complete"]
    assert answer.output.status == "unchanged"
    assert steps.recorded_resyncs == ()
    assert compute.resources["t"].config == {"image": "old"}


async def test_a_resync_ends_if_a_job_acquired_the_lock_first(api: LandlordApi) -> None:
    compute, steps = MockCompute(), StepsOfResync(superseded=True)
    api.respond("ready")

    answer = await resync_answer(compute, steps, after("update"), api)

    assert (answer.state, answer.output.status) == (ExecutionState.CANCELLED, "superseded")
    assert compute.resources == {}


async def test_a_resync_without_an_answer_of_the_api_is_retried(api: LandlordApi) -> None:
    api.server.expect_request("/v1/tenants/t").respond_with_data("oh", status=500)

    with pytest.raises(Transient, match="answered tenants/t with status 500"):
        await resync_answer(MockCompute(), StepsOfResync(record=HERE), after("update"), api)


async def test_a_resync_over_the_limit_is_postponed_and_does_not_wait() -> None:
    tenants = build_tenant_jobs(("mock", MockCompute()), max_concurrent_jobs=1)

    async with tenants.resyncs._checks:
        with pytest.raises(Transient, match="many tenants are being resynced"):
            await tenants.resync(after("delete"), StepsOfResync(record=HERE))


@attrs.frozen
class MockOutOfService(MockCompute):
    """A mock whose resource is out of service until `restore` is called."""

    restored: list[tuple[str, str]] = attrs.field(factory=list)
    is_down: bool = True

    async def restore(self, tenant: str, location: str) -> bool:
        self.restored.append((tenant, location))
        return self.is_down


class StepsOfRunningJob(StepsOfResync):
    """Steps of a resync whose job still runs."""

    async def read_record(self, tenant: str) -> Record:
        raise StillRunning(f"the job of {tenant} has not ended")


def last_resync(operation: str, *gone: Placement) -> CompletedJob:
    return attrs.evolve(after(operation, *gone), last=True)


async def test_the_resync_of_a_running_job_is_postponed() -> None:
    steps = StepsOfRunningJob()

    resynced = await resync(MockCompute(), steps, after("update"))

    assert steps.names == ONLY_RESOLVED
    assert resynced.answer.output.status == "unchanged"
    assert resynced.follow_up == FollowUp(
        after=120.0, ended=attrs.evolve(after("update"), put_off=1)
    )


def test_the_pauses_before_the_resync_of_a_running_job_double_up_to_an_hour() -> None:
    resyncer = build_tenant_jobs(("mock", MockCompute())).resyncs.resyncer
    ended, pauses = after("update"), list[float]()

    for _ in range(9):
        follow_up = resyncer.follow_up(ended, ResyncCheck(started_at="t", too_early=True))
        assert follow_up is not None
        pauses.append(follow_up.after)
        ended = follow_up.ended

    assert pauses == [120, 240, 480, 960, 1920, 3600, 3600, 3600, 3600]
    years = attrs.evolve(ended, put_off=100_000)
    assert resyncer.follow_up(years, ResyncCheck(started_at="t", too_early=True)) == FollowUp(
        after=3600.0, ended=attrs.evolve(ended, put_off=100_001)
    )


@pytest.mark.parametrize("overrode_delete", [False, True])
@pytest.mark.parametrize("operation", ["provision", "update", "delete"])
@pytest.mark.parametrize("preempted", [False, True])
@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("needs_repair", [False, True])
def test_a_last_resync_follows_only_if_a_request_of_the_tenant_may_be_in_flight(
    operation: str, *, preempted: bool, killed: bool, needs_repair: bool, overrode_delete: bool
) -> None:
    resyncer = build_tenant_jobs(("mock", MockCompute())).resyncs.resyncer
    ended = attrs.evolve(after(operation), preempted=preempted, overrode_delete=overrode_delete)
    check = ResyncCheck(started_at="t", needs_repair=needs_repair, killed=killed)

    follow_up = resyncer.follow_up(ended, check)

    is_open = operation == "delete" or preempted or killed
    assert follow_up == (
        FollowUp(after=15.0, ended=attrs.evolve(ended, last=True)) if is_open else None
    )
    assert resyncer.follow_up(attrs.evolve(ended, last=True), check) is None


def test_the_last_resync_comes_after_the_longest_step_and_carry() -> None:
    class Slow(MockCompute):
        longest_carry = 40.0

    assert (
        build_tenant_jobs(
            ("a", Slow()), ("b", MockCompute()), step_timeout=100.0
        ).resyncs.resyncer.last_check
        > 140.0
    )


async def test_a_last_resync_during_a_running_job_is_postponed_too() -> None:
    resynced = await resync(MockCompute(), StepsOfRunningJob(), last_resync("delete"))

    assert resynced.follow_up is not None
    assert resynced.follow_up.ended.last


@pytest.mark.parametrize("status", ["ready", "updating", None])
async def test_a_killed_job_is_repaired_under_the_lock_and_resynced_a_last_time(
    api: LandlordApi, status: str | None
) -> None:
    compute, steps = MockCompute(), StepsOfResync(record=KILLED)
    await provision_tenant(compute, image="old")
    api.respond(*filter(None, [status]), image="new")

    resynced = await resync(compute, steps, after("update"), api)

    assert steps.names == STEPS_WITH_REPAIR
    assert compute.resources["t"].config == {"image": "new" if status == "ready" else "old"}
    assert resynced.follow_up == FollowUp(after=15.0, ended=last_resync("update"))


async def test_leftovers_of_a_killed_delete_are_removed_without_landlords_api_too() -> None:
    compute, steps = MockCompute(), StepsOfResync(record=KILLED)
    await provision_tenant(compute)

    await resync_answer(compute, steps, after("delete"))

    assert compute.resources == {}
    assert steps.record.placements == ()


async def test_without_an_api_the_last_resync_restores_a_service_that_a_killed_job_stopped() -> (
    None
):
    compute, steps = MockOutOfService(), StepsOfResync(record=KILLED)

    early = await resync_answer(compute, steps, after("update"))
    assert (compute.restored, early.output.status) == ([], "unchanged")
    assert not steps.recorded_resyncs

    answer = await resync_answer(compute, steps, last_resync("update"))

    assert compute.restored == [("t", "")]
    assert answer.output.status == "updated"
    assert [transition.outcome for transition in steps.recorded_resyncs] == ["updated"]


async def test_without_a_stopped_service_a_resync_records_nothing() -> None:
    compute, steps = MockOutOfService(is_down=False), StepsOfResync(record=KILLED)

    answer = await resync_answer(compute, steps, last_resync("update"))

    assert (compute.restored, answer.output.status) == ([("t", "")], "unchanged")
    assert steps.recorded_resyncs == ()


async def test_the_last_resync_restores_a_service_that_a_superseded_job_stopped_late() -> None:
    """The stop was in flight while the next job found the resource in the desired state."""
    compute, steps = MockOutOfService(), StepsOfResync(record=HERE)
    preempted = attrs.evolve(after("update"), preempted=True)

    await resync_answer(compute, steps, preempted)
    assert compute.restored == []

    answer = await resync_answer(compute, steps, attrs.evolve(preempted, last=True))

    assert compute.restored == [("t", "")]
    assert answer.output.status == "updated"


@pytest.mark.parametrize("image", ["late", "wanted"])
async def test_without_an_api_an_update_that_arrived_after_the_last_job_is_recorded(
    image: str,
) -> None:
    """The update was in flight during the whole next job, which found the desired state."""
    compute, lines = MockCompute(), RecordingLogger()
    await provision_tenant(compute, image=image)
    desired_hash = config_hash({"image": "wanted"})
    job = attrs.evolve(ENDED, config_hash=desired_hash, placement=Placement("mock"))
    steps = StepsOfResync(record=Record(placements=(Placement("mock"),), transitions=(job,)))

    preempted = attrs.evolve(last_resync("update"), preempted=True)
    await resync_answer(compute, steps, preempted, logger=lines)

    assert [transition.outcome for transition in steps.recorded_resyncs] == (
        ["refused"] if image == "late" else []
    )
    assert ("after the last job" in str(lines)) == (image == "late")
    assert compute.resources["t"].config == {"image": image}


async def test_a_service_that_an_ended_job_stopped_is_not_restored() -> None:
    compute, steps = MockOutOfService(), StepsOfResync(record=HERE)

    await resync_answer(compute, steps, last_resync("update"))

    assert compute.restored == []
    assert steps.names == ONLY_RESOLVED


@pytest.mark.parametrize("statuses", [(), ("archived",)])
async def test_after_a_superseded_delete_an_unwanted_tenant_is_removed(
    api: LandlordApi, statuses: tuple[str, ...]
) -> None:
    compute, steps = MockCompute(), StepsOfResync(record=HERE)
    await provision_tenant(compute)
    api.respond(*statuses)

    ended = attrs.evolve(after("provision", Placement("mock")), overrode_delete=True)
    await resync_answer(compute, steps, ended, api)

    assert compute.resources == {}
    assert steps.record.placements == ()


async def test_after_a_superseded_delete_a_wanted_tenant_stays(api: LandlordApi) -> None:
    compute, steps = MockCompute(), StepsOfResync(record=HERE)
    await provision_tenant(compute)
    api.respond("ready")

    ended = attrs.evolve(after("provision", Placement("mock")), overrode_delete=True)
    await resync_answer(compute, steps, ended, api)

    assert set(compute.resources) == {"t"}
    assert steps.names == ONLY_RESOLVED


async def test_another_location_is_recorded_before_anything_is_created_there(
    api: LandlordApi,
) -> None:
    noted: list[tuple[Placement, ...]] = []

    class Watched(MockCompute):
        async def provision(self, spec: ComputeSpec) -> ComputeResult:
            noted.append(steps.record.placements)
            return await super().provision(spec)

    old, steps = MockCompute(), StepsOfResync(record=HERE)
    await provision_tenant(old)
    api.respond("ready", compute_provider="b")

    await resync_answer(old, steps, after("update"), api, ("b", Watched()))

    assert noted == [(Placement("mock"), Placement("b"))]


async def test_without_a_record_and_a_default_the_refusal_is_recorded(api: LandlordApi) -> None:
    steps = StepsOfResync(record=NOWHERE)
    api.respond("ready")

    await resync_answer(MockCompute(), steps, after("delete"), api, ("b", MockCompute()))

    (transition,) = steps.recorded_resyncs
    assert transition.outcome == "refused"
    assert transition.detail.startswith("no setting names a compute engine")


async def test_a_move_whose_old_resource_is_missing_does_not_wait(
    api: LandlordApi,
) -> None:
    new = ScriptedCompute(states=[ResourceState.MISSING, ResourceState.MISSING])
    steps = StepsOfResync(record=HERE)
    api.respond("ready", compute_provider="b")

    await resync_answer(MockCompute(), steps, after("update"), api, ("b", new))

    assert steps.recorded_resyncs[0].removed == (Placement("mock"),)
    assert set(new.resources) == {"t"}
