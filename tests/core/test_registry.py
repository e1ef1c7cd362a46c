from collections.abc import Mapping

import pytest

from landlord_engines_core.compute import ComputeRegistry
from landlord_engines_core.compute.mock import MockCompute
from landlord_engines_core.compute.registry import MAX_PROBLEMS
from landlord_engines_core.errors import ComputeDefect, ComputeRefused
from landlord_test_target.in_memory import ScriptedCompute

SCHEMA = {
    "type": "object",
    "required": ["image"],
    "properties": {"port": {"type": "integer", "maximum": 9}, "secret": {"type": "string"}},
}


def test_an_engine_that_is_not_configured_is_refused_with_the_configured_ones() -> None:
    with pytest.raises(ComputeRefused, match=r"'nomad' is not configured .*it has: mock"):
        ComputeRegistry({"mock": MockCompute()}).engine("nomad")


def test_an_error_of_an_empty_registry_lists_none() -> None:
    with pytest.raises(ComputeRefused, match="it has: none"):
        ComputeRegistry({}).engine("mock")


def test_the_longest_carry_is_that_of_the_slowest_engine() -> None:
    class Slow(MockCompute):
        longest_carry = 40.0

    assert ComputeRegistry({"a": Slow(), "b": MockCompute()}).longest_carry == 40.0
    assert ComputeRegistry({}).longest_carry == 0.0


async def test_an_engine_without_switches_needs_no_carry_and_restores_nothing() -> None:
    assert MockCompute().longest_carry == 0.0
    assert not await MockCompute().restore("t", "")


def test_every_broken_rule_is_named_by_its_path_and_no_value_is() -> None:
    registry = ComputeRegistry({"strict": ScriptedCompute(schema=SCHEMA)})

    with pytest.raises(ComputeRefused) as caught:
        registry.check("strict", {"port": 424242, "secret": ["hush"]})

    text = str(caught.value)
    assert "$.port breaks the rule 'maximum' 9" in text
    assert "$.secret breaks the rule 'type' string" in text
    assert "$ breaks the rule 'required' ['image']" in text
    assert "424242" not in text
    assert "hush" not in text


def test_of_thousands_of_broken_rules_only_some_are_named() -> None:
    schema = {"additionalProperties": {"type": "string"}}
    registry = ComputeRegistry({"strict": ScriptedCompute(schema=schema)})

    with pytest.raises(ComputeRefused) as caught:
        registry.check("strict", {f"k{number}": number for number in range(5000)})

    assert str(caught.value).count("breaks the rule") == MAX_PROBLEMS


def test_a_configuration_that_fits_is_accepted() -> None:
    ComputeRegistry({"strict": ScriptedCompute(schema=SCHEMA)}).check("strict", {"image": "x"})


PARTIAL = {
    "type": "object",
    "required": ["image"],
    "minProperties": 3,
    "anyOf": [{"required": ["name"]}, {"required": ["prefix"]}],
    "additionalProperties": False,
    "properties": {
        "image": {"type": "string"},
        "name": {"type": "string"},
        "prefix": {"type": "string"},
        "policy": {"enum": ["no", "always"]},
        "role": {"type": "object", "required": ["arn"]},
        "ports": {"type": "array", "items": {"type": "object", "required": ["port"]}},
        "health": {
            "type": "object",
            "oneOf": [{"required": ["http"]}, {"required": ["tcp"]}],
            "properties": {"http": {"type": "string"}, "tcp": {"const": True}},
        },
        "size": {"anyOf": [{"type": "integer"}, {"type": "string", "pattern": "^[0-9]+m$"}]},
    },
}


def with_defaults(defaults: Mapping[str, object]) -> ComputeRegistry:
    class Engine(ScriptedCompute):
        def config_defaults(self) -> Mapping[str, object]:
            return defaults

    return ComputeRegistry({"strict": Engine(schema=PARTIAL)})


@pytest.mark.parametrize(
    "defaults",
    [
        {},
        {"policy": "no", "size": "5m", "ports": [{"port": 1}]},
        {"role": {"session": "x"}, "health": {"within": 5}},
        {"health": {"tcp": True}},
    ],
)
def test_defaults_may_lack_what_a_tenants_configuration_can_have(
    defaults: Mapping[str, object],
) -> None:
    with_defaults(defaults).check_defaults("strict")


@pytest.mark.parametrize(
    ("defaults", "expected_text"),
    [
        ({"policy": False}, "compute.strict.policy breaks the rule 'enum' ['no', 'always']"),
        ({"fodler": 1}, "compute.strict breaks the rule 'additionalProperties'"),
        ({"ports": [{}]}, "compute.strict.ports[0] breaks the rule 'required' ['port']"),
        ({"health": {"http": "/", "tcp": True}}, "compute.strict.health breaks the rule 'oneOf'"),
        ({"size": "hush"}, "compute.strict.size breaks the rule 'anyOf'"),
    ],
)
def test_defaults_that_no_tenants_configuration_can_repair_are_refused(
    defaults: Mapping[str, object], expected_text: str
) -> None:
    with pytest.raises(ComputeRefused) as caught:
        with_defaults(defaults).check_defaults("strict")

    assert expected_text in caught.value.message
    assert "hush" not in caught.value.message


async def test_a_registry_lists_its_engines_and_closes_them() -> None:
    registry = ComputeRegistry({"mock": MockCompute({"placeholder": "1"})})

    assert list(registry) == ["mock"]
    assert len(registry) == 1
    assert "mock" in registry
    await registry.aclose()


async def test_an_engine_that_fails_to_close_keeps_no_other_open() -> None:
    closed: list[str] = []

    class Engine(MockCompute):
        async def aclose(self) -> None:
            closed.append("")
            raise RuntimeError("broken")

    registry = ComputeRegistry({name: Engine() for name in ("one", "two", "three")})

    with pytest.raises(ComputeDefect, match="raised RuntimeError in aclose"):
        await registry.aclose()

    assert len(closed) == 3
