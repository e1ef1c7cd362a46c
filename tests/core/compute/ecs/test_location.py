import string

import pytest
from hypothesis import given, strategies as st

from landlord_engines_core.compute.ecs.config import EcsConfig
from landlord_engines_core.compute.ecs.location import Location, location_of
from landlord_engines_core.errors import ComputeRefused

NAMES = st.text(alphabet=f"{string.ascii_letters}{string.digits}-_", min_size=1, max_size=255)
TEXT = st.text(min_size=1, max_size=300) | st.just("\ud800half")


def test_a_location_is_readable() -> None:
    config = EcsConfig(
        cluster_arn="arn:aws:ecs:eu-west-1:123456789012:cluster/one",
        task_definition_arn="web",
        service_name_prefix="t-",
    )

    assert str(location_of(config)) == (
        "region=eu-west-1&cluster=arn:aws:ecs:eu-west-1:123456789012:cluster/one&service=t-*"
    )


@given(region=NAMES, cluster=TEXT, service=NAMES, role=st.just("") | TEXT)
def test_a_location_is_read_as_it_was_written(
    region: str, cluster: str, service: str, role: str
) -> None:
    location = Location(region=region, cluster=cluster, service=f"{service}*", role=role)

    assert Location.parse(str(location)) == location


@pytest.mark.parametrize("text", ["", "one", "host=a", "region=a", "region=a&region=b&x"])
def test_a_location_of_another_engine_is_refused(text: str) -> None:
    with pytest.raises(ComputeRefused, match="not one of the engine ecs"):
        Location.parse(text)


@given(prefix=NAMES, tenant=TEXT)
def test_any_tenant_has_a_name_that_ecs_accepts(prefix: str, tenant: str) -> None:
    location = Location(region="r", cluster="c", service=f"{prefix}*")

    name = location.service_name(tenant)

    assert 1 <= len(name) <= 255
    assert set(name) <= set(f"{string.ascii_letters}{string.digits}-_")


@given(tenants=st.sets(TEXT | NAMES, min_size=2, max_size=2))
def test_two_tenants_never_share_a_name(tenants: set[str]) -> None:
    location = Location(region="r", cluster="c", service="t-*")

    assert len({location.service_name(tenant) for tenant in tenants}) == 2


def test_a_key_that_looks_like_a_digest_matches_no_other_tenant() -> None:
    location = Location(region="r", cluster="c", service="t-*")
    digested = location.service_name("a b").removeprefix("t-")

    assert location.service_name(digested) != location.service_name("a b")


def test_the_name_contains_a_uuid_as_landlords_own_worker_writes_it() -> None:
    tenant = "0b7f8a2e-6b1c-4b39-9f7e-2a1f0c9d8e77"
    location = Location(region="r", cluster="c", service="landlord-tenant-*")

    assert location.service_name(tenant) == f"landlord-tenant-{tenant}"
    assert Location(region="r", cluster="c", service="acme").service_name(tenant) == "acme"
