import pytest

from landlord_engines_core.compute import ComputeSpec, Observation, ResourceState
from landlord_engines_core.tenants.plan import Action, Plan, decide

SPEC = ComputeSpec(
    tenant="t", name="n", location="", config={}, config_hash="new", key_hashes={"a": "1", "b": "2"}
)


@pytest.mark.parametrize(
    ("observed", "decided"),
    [
        (Observation(state=ResourceState.MISSING), Plan(Action.PROVISION)),
        (Observation(state=ResourceState.HEALTHY, config_hash="new"), Plan(Action.NOTHING)),
        (Observation(state=ResourceState.STARTING, config_hash="new"), Plan(Action.NOTHING)),
        (
            Observation(state=ResourceState.FAILED, config_hash="new"),
            Plan(Action.UPDATE, ("repaired",)),
        ),
        (
            Observation(state=ResourceState.HEALTHY, config_hash="old"),
            Plan(Action.UPDATE, ("configuration changed",)),
        ),
        (
            Observation(
                state=ResourceState.HEALTHY, config_hash="old", key_hashes={"a": "0", "c": "3"}
            ),
            Plan(Action.UPDATE, ("a changed", "b changed", "c changed")),
        ),
    ],
)
def test_the_plan_depends_on_the_desired_and_the_observed_state(
    observed: Observation, decided: Plan
) -> None:
    assert decide(SPEC, observed) == decided
