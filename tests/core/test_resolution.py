import pytest
from pytest_httpserver import HTTPServer

from landlord_engines_core.compute import ComputeRegistry
from landlord_engines_core.compute.mock import MockCompute
from landlord_engines_core.errors import ComputeRefused
from landlord_engines_core.landlord import LandlordClient
from landlord_engines_core.metrics import Metrics
from landlord_engines_core.models import Job, Operation, Placement, Record, Tenant, merge
from landlord_engines_core.resolution import Resolver, find_tenant_engine
from landlord_test_target.in_memory import RecordingLogger


class MockWithLocations(MockCompute):
    """A mock with locations, of which it refuses one."""

    def location(self, config: object) -> str:
        location = config.get("location", "own") if isinstance(config, dict) else "own"
        if location == "moon":
            raise ComputeRefused("$.location is out of reach")
        return str(location)


def resolver(
    *names: str, landlord: LandlordClient | None = None, **options: str | None
) -> Resolver:
    known = {"force": None, "default": None, **options}
    return Resolver(
        registry=ComputeRegistry({name: MockWithLocations({"size": 1}) for name in names}),
        landlord=landlord,
        force=known["force"],
        default=known["default"],
        ttl=60,
        max_config_bytes=1000,
        logger=RecordingLogger(),
        metrics=Metrics().caches,
    )


def job(provider: str = "", **config: object) -> Job:
    return Job(
        tenant="t",
        name="acme",
        operation=Operation.PROVISION,
        desired_config=config,
        compute_provider=provider,
    )


async def read_empty_record() -> Record:
    return Record()


def test_maps_are_merged_and_other_values_are_replaced() -> None:
    below = {"env": {"A": "1", "B": "2"}, "ports": [1], "image": "x"}
    above = {"env": {"B": "3"}, "ports": [2], "image": None}

    assert merge(below, above) == {"env": {"A": "1", "B": "3"}, "ports": [2], "image": None}


@pytest.mark.parametrize(
    ("tenant", "named"),
    [
        (Tenant(id="t", desired_config={"compute_provider": "a", "x": 1}), "a"),
        (Tenant(id="t", desired_config={"compute_provider_type": "b"}), "b"),
        (Tenant(id="t", labels={"compute_provider": "c"}), "c"),
        (Tenant(id="t", annotations={"compute_provider": "d"}), "d"),
        (Tenant(id="t", desired_config={"compute_provider": 5}), ""),
    ],
)
def test_landlords_record_names_an_engine_in_four_places(tenant: Tenant, named: str) -> None:
    assert find_tenant_engine(tenant) == named


@pytest.mark.parametrize(
    ("tenant", "otherwise", "force", "engine"),
    [
        (Tenant(id="t", labels={"compute_provider": "b"}), Placement("a"), None, "b"),
        (Tenant(id="t", labels={"compute_provider": "b"}), Placement("a"), "a", "a"),
        (Tenant(id="t"), Placement("b"), None, "b"),
        (Tenant(id="t"), None, None, "a"),
    ],
    ids=["its own", "the override", "where it is", "the worker's default"],
)
async def test_landlords_record_selects_one_engine(
    tenant: Tenant, otherwise: Placement | None, force: str | None, engine: str
) -> None:
    puts = resolver("a", "b", force=force, default="a").placement_named_by

    placement = await puts(tenant, job(), otherwise)

    assert placement == Placement(engine, "own")


async def test_a_tenant_without_any_engine_is_refused() -> None:
    with pytest.raises(ComputeRefused, match="no setting names a compute engine"):
        await resolver("a", "b").placement_named_by(Tenant(id="t"), job(), None)


async def test_the_override_comes_before_the_job() -> None:
    placement = await resolver("a", "b", force="b").placement(job("a"), read_empty_record)

    assert placement == Placement("b", "own")


async def test_the_jobs_own_config_names_an_engine() -> None:
    placement = await resolver("a", "b").placement(
        job(compute_provider_type="b"), read_empty_record
    )

    assert placement.engine == "b"


async def test_the_record_comes_before_the_default() -> None:
    async def read_record() -> Record:
        return Record(placements=(Placement("b"),))

    placement = await resolver("a", "b", default="a").placement(job(location="east"), read_record)

    assert placement == Placement("b", "east")


async def test_the_default_and_the_only_engine_come_last() -> None:
    chosen = resolver("a", "b", default="b")

    assert (await chosen.placement(job(), read_empty_record)).engine == "b"
    assert (await resolver("a").placement(job(), read_empty_record)).engine == "a"


@pytest.mark.parametrize(("names", "has"), [(("a", "b"), "a, b"), ((), "none")])
async def test_where_nothing_names_an_engine_the_job_is_refused(
    names: tuple[str, ...], has: str
) -> None:
    with pytest.raises(ComputeRefused, match=f"the worker has {has}") as caught:
        await resolver(*names).placement(job(), read_empty_record)

    assert "worker.compute_provider" in caught.value.hint


async def test_the_engine_gets_its_defaults_and_no_control_keys() -> None:
    chosen = resolver("a")
    spec = await chosen.spec(job("a", image="x", compute_provider="a"), Placement("a", "p"))

    assert spec.config == {"size": 1, "image": "x"}
    assert spec.location == "p"
    assert set(spec.key_hashes) == {"size", "image"}


async def test_landlords_defaults_override_the_engines_and_not_the_tenants(
    httpserver: HTTPServer,
) -> None:
    answer = {"provider": "a", "defaults": {"size": 2, "image": "d"}}
    httpserver.expect_request("/v1/compute/config").respond_with_json(answer)
    landlord = LandlordClient(httpserver.url_for("/"))
    chosen = resolver("a", landlord=landlord)

    config = await chosen.effective_config("a", {"image": "x"})
    await landlord.aclose()

    assert config == {"size": 2, "image": "x"}


async def test_an_expired_answer_is_used_and_logged(httpserver: HTTPServer) -> None:
    answer = {"provider": "a", "defaults": {"size": 2}}
    httpserver.expect_ordered_request("/v1/compute/config").respond_with_json(answer)
    httpserver.expect_ordered_request("/v1/compute/config").respond_with_data("", status=500)
    landlord, logger = LandlordClient(httpserver.url_for("/")), RecordingLogger()
    chosen = Resolver(
        registry=ComputeRegistry({"a": MockWithLocations()}),
        landlord=landlord,
        force=None,
        default=None,
        ttl=0,
        max_config_bytes=1000,
        logger=logger,
        metrics=Metrics().caches,
    )

    configs = [await chosen.effective_config("a", {}) for _ in range(2)]
    await landlord.aclose()

    assert configs == [{"size": 2}, {"size": 2}]
    assert logger.events("warning") == ["using stale cache entry"]


async def test_a_config_over_the_limit_is_refused_with_both_sizes() -> None:
    with pytest.raises(ComputeRefused, match="the limit is 1000"):
        await resolver("a").effective_config("a", {"env": "x" * 2000})


async def test_a_tenant_without_a_record_may_be_at_the_jobs_or_the_engines_own_location() -> None:
    placements = await resolver("a", "b").candidates(job(location="east"))

    assert placements == tuple(
        Placement(name, location) for name in "ab" for location in ("east", "own")
    )


async def test_a_location_that_the_engine_refuses_is_skipped() -> None:
    assert await resolver("a").candidates(job(location="moon")) == (Placement("a", "own"),)
    assert await resolver("a").candidates(job()) == (Placement("a", "own"),)


async def test_without_an_engine_from_landlord_a_tenant_stays_on_its_engine() -> None:
    chosen = resolver("a", "b")

    placement = await chosen.placement_named_by(Tenant(id="t"), job(), Placement("b"))

    assert placement == Placement("b", "own")
