import pytest
from hypothesis import given, strategies as st

from landlord_engines_core.compute import ComputeSpec, Observation, ResourceState
from landlord_engines_core.models import config_hash, key_hashes
from landlord_engines_core.tenants.plan import MAX_KEY_LENGTH, MAX_KEYS, Action, decide
from landlord_test_target.strategies import configs

pytestmark = pytest.mark.unmeasured

states = st.sampled_from(ResourceState)


def spec(config: dict[str, object]) -> ComputeSpec:
    hashes = {"config_hash": config_hash(config), "key_hashes": key_hashes(config)}
    return ComputeSpec(tenant="t", name="n", location="", config=config, **hashes)  # type: ignore[arg-type]


def observation(
    state: ResourceState, config: dict[str, object], *, by_key: bool = True
) -> Observation:
    keys = key_hashes(config) if by_key else {}
    return Observation(state=state, config_hash=config_hash(config), key_hashes=keys)


@given(states, configs)
def test_a_resource_in_the_desired_state_is_left_alone(
    state: ResourceState, config: dict[str, object]
) -> None:
    decided = decide(spec(config), observation(state, config))

    present = {ResourceState.HEALTHY, ResourceState.STARTING}
    assert (decided.action is Action.NOTHING) is (state in present)
    assert decided.changes == (("repaired",) if state is ResourceState.FAILED else ())


@given(state=states, desired=configs, present=configs, by_key=st.booleans())
def test_one_action_reaches_the_desired_state_and_the_next_plan_is_empty(
    state: ResourceState, desired: dict[str, object], present: dict[str, object], *, by_key: bool
) -> None:
    decided = decide(spec(desired), observation(state, present, by_key=by_key))
    after = decide(spec(desired), observation(ResourceState.HEALTHY, desired))

    assert after.action is Action.NOTHING
    if state is ResourceState.MISSING:
        assert decided.action is Action.PROVISION
    elif config_hash(desired) != config_hash(present):
        assert decided.action is Action.UPDATE
        assert decided.changes


@given(
    st.dictionaries(st.text(max_size=300), st.integers(), max_size=60),
    st.dictionaries(st.text(max_size=300), st.integers(), max_size=60),
)
def test_the_changes_name_keys_and_are_bounded_whatever_the_keys(
    desired: dict[str, object], present: dict[str, object]
) -> None:
    changes = decide(spec(desired), observation(ResourceState.HEALTHY, present)).changes

    differ = {key for key in {*desired, *present} if desired.get(key, ...) != present.get(key, ...)}
    assert len(changes) <= MAX_KEYS + 1
    assert all(len(change) <= MAX_KEY_LENGTH + len(" changed") for change in changes)
    named = [change.removesuffix(" changed") for change in changes[:MAX_KEYS]]
    if present:
        assert named == [key[:MAX_KEY_LENGTH] for key in sorted(differ)[:MAX_KEYS]]
