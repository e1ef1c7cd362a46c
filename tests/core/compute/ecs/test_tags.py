import pytest
from hypothesis import given, strategies as st

from landlord_engines_core.compute import ComputeSpec
from landlord_engines_core.compute.ecs import tags
from landlord_engines_core.compute.ecs.config import MAX_TAGS, EcsConfig
from landlord_engines_core.compute.ecs.location import Location

LOCATION = Location(region="r", cluster="c", service="t-*")
TEXT = st.text(max_size=300) | st.just("\ud800half")


def spec(**key_hashes: str) -> ComputeSpec:
    return ComputeSpec(
        tenant="one",
        name="acme",
        location=str(LOCATION),
        config={},
        config_hash="f" * 64,
        key_hashes=key_hashes,
    )


def config(count: int, start: int = 0) -> EcsConfig:
    return EcsConfig(tags={f"tag-{number}": "x" for number in range(start, start + count)})


def test_a_full_set_of_tags_fits_without_the_hashes_by_key() -> None:
    most = tags.applied_tags(spec(subnets="1"), LOCATION, config(MAX_TAGS), "a")
    one_less = tags.applied_tags(spec(subnets="1"), LOCATION, config(MAX_TAGS - 1), "a")

    assert (len(most), len(one_less)) == (49, 49)
    assert tags.key_hashes_in(most) == {}
    assert tags.key_hashes_in(one_less) == {"subnets": "1"}
    assert max(map(len, most.values())) <= 256


@pytest.mark.parametrize("key", ["ü", "a" * 200, "<script>", ""])
def test_keys_that_cannot_be_a_tag_omit_the_hashes_by_key(key: str) -> None:
    hashes = {key: "1", "subnets": "2"}

    written = tags.applied_tags(spec(**hashes), LOCATION, config(0), "a")

    assert tags.key_hashes_in(written) == ({} if key else hashes)


def test_tags_of_a_tenant_never_replace_tags_of_the_worker() -> None:
    hostile = EcsConfig(
        tags=dict.fromkeys((tags.HASH, tags.APPLIED_STATE, "landlord.tenant_id"), "x")
    )

    written = tags.applied_tags(spec(), LOCATION, hostile, "a")

    assert written[tags.HASH] == "f" * 64
    assert written[tags.APPLIED_STATE] == "a"
    assert tags.belongs_to("one", written)


def test_only_tags_of_the_previous_configuration_are_removed() -> None:
    before = tags.applied_tags(spec(a="1", b="2"), LOCATION, config(3), "a")
    after = tags.applied_tags(spec(b="3"), LOCATION, config(3, start=1), "a")

    stale = tags.outdated_keys({**before, "aws:cost": "1", "team": "red"}, after)

    assert sorted(stale) == ["landlord.key.a", "tag-0"]


@given(tenant=TEXT)
def test_the_tag_of_any_tenant_has_a_value_that_ecs_accepts(tenant: str) -> None:
    written = tags.owner_tags(tenant, LOCATION, EcsConfig())

    value = written["landlord.tenant_id"]
    assert tags.belongs_to(tenant, written)
    assert not tags.belongs_to(f"{tenant}x", written)
    assert 1 <= len(value) <= 256
    assert value.isascii()


def test_a_key_that_looks_like_a_digest_matches_no_other_tenant() -> None:
    written = tags.owner_tags("ü", LOCATION, EcsConfig())

    assert not tags.belongs_to(written["landlord.tenant_id"], written)
