"""Each method of a compute engine is called inside the error boundary."""

import sys
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from landlord_engines_core.compute import (
    ComputeEngine,
    ComputeRegistry,
    ComputeSpec,
    Observation,
    ResourceState,
)
from landlord_engines_core.compute.guarded import GuardedCompute, build_compute_boundary
from landlord_engines_core.compute.mock import MockCompute
from landlord_engines_core.errors import ComputeDefect

SPEC = ComputeSpec(tenant="t", name="t", location="", config={}, config_hash="h", key_hashes={})

READ: dict[str, Callable[[ComputeEngine], Any]] = {
    "config_schema": lambda engine: engine.config_schema(),
    "config_defaults": lambda engine: engine.config_defaults(),
    "validate": lambda engine: engine.validate({}),
    "validate_defaults": lambda engine: engine.validate_defaults(),
    "location": lambda engine: engine.location({}),
    "longest_carry": lambda engine: engine.longest_carry,
    "longest_switch": lambda engine: engine.longest_switch,
}
REACHING: dict[str, Callable[[ComputeEngine], Any]] = {
    "inspect": lambda engine: engine.inspect("t", ""),
    "provision": lambda engine: engine.provision(SPEC),
    "update": lambda engine: engine.update(SPEC),
    "destroy": lambda engine: engine.destroy("t", ""),
    "reach": lambda engine: engine.reach(),
    "matches": lambda engine: engine.matches(SPEC),
    "restore": lambda engine: engine.restore("t", ""),
    "aclose": lambda engine: engine.aclose(),
}


class Leaving:
    """An engine, each of whose methods exits."""

    def __getattr__(self, name: str) -> Any:
        if name in ("longest_carry", "longest_switch"):
            sys.exit(0)
        return self.leave

    @staticmethod
    def leave(*_: object) -> None:
        sys.exit(0)


LEAVING = GuardedCompute("own", Leaving(), build_compute_boundary("own"))  # type: ignore[arg-type]  # as above


@pytest.mark.parametrize("method", READ)
def test_an_exit_in_any_method_is_a_defect(method: str) -> None:
    with pytest.raises(ComputeDefect, match=f"compute engine own raised SystemExit in {method} at"):
        READ[method](LEAVING)


@pytest.mark.parametrize("method", REACHING)
async def test_an_exit_in_any_method_that_reaches_the_target_is_a_defect(method: str) -> None:
    with pytest.raises(ComputeDefect, match=f"compute engine own raised SystemExit in {method} at"):
        await REACHING[method](LEAVING)


async def test_the_answers_of_an_engine_are_returned() -> None:
    plain, engine = MockCompute(), ComputeRegistry({"own": MockCompute()}).engine("own")

    assert {name: call(engine) for name, call in READ.items()} == {
        name: call(plain) for name, call in READ.items()
    }
    assert engine.single_location == plain.single_location
    answers = {name: await call(engine) for name, call in REACHING.items()}
    assert answers == {name: await call(plain) for name, call in REACHING.items()}
    assert answers["inspect"] == Observation(state=ResourceState.MISSING)


def test_each_call_is_timed_by_engine_and_method() -> None:
    calls: list[tuple[str, str]] = []

    def observe(name: str, method: str, _: float) -> None:
        calls.append((name, method))

    ComputeRegistry({"own": MockCompute()}, (), observe).check("own", {})

    assert calls == [("own", "config_schema"), ("own", "config_schema"), ("own", "validate")]


def test_a_configuration_that_is_nested_too_deeply_is_no_defect() -> None:
    class Deep(MockCompute):
        def validate(self, config: Mapping[str, object]) -> None:
            raise RecursionError

    with pytest.raises(RecursionError):
        ComputeRegistry({"own": Deep()}).engine("own").validate({})
