import pytest

from landlord_engines_core.compute import ComputeFactory, ComputeRegistry
from landlord_engines_core.compute.docker import create_docker
from landlord_engines_core.compute.ecs import create_ecs
from landlord_engines_core.compute.process import create_process
from landlord_engines_core.errors import ComputeRefused
from landlord_test_target.in_memory import ScriptedCompute

ENGINES = pytest.mark.parametrize(
    ("create", "typo", "meant"),
    [
        (create_docker, "netwrk_name", "network_name"),
        (create_docker, "imagee", "image"),
        (create_process, "foldr", "folder"),
        (create_ecs, "endpoint_ulr", "endpoint_url"),
        (create_ecs, "cluster_am", "cluster_arn"),
    ],
)


@ENGINES
def test_a_typo_in_a_section_is_refused_with_a_suggestion(
    create: ComputeFactory, typo: str, meant: str
) -> None:
    with pytest.raises(ComputeRefused, match=rf"{typo} is unknown; did you mean .*{meant}\?"):
        create({typo: "x"})


@pytest.mark.parametrize("create", [create_docker, create_process, create_ecs])
def test_an_unknown_key_of_a_section_without_a_similar_one_is_refused_too(
    create: ComputeFactory,
) -> None:
    with pytest.raises(ComputeRefused, match="zzzzzz is unknown"):
        create({"zzzzzz": "x"})


TENANTS = pytest.mark.parametrize(
    ("name", "create", "config", "typo"),
    [
        ("docker", create_docker, {"image": "x"}, "read_onyl"),
        ("process", create_process, {"command": ["x"]}, "working_foldr"),
        (
            "ecs",
            create_ecs,
            {
                "cluster_arn": "c",
                "task_definition_arn": "t",
                "service_name_prefix": "p-",
                "region": "us-east-1",
            },
            "lauch_type",
        ),
    ],
)


@TENANTS
def test_a_typo_of_a_tenant_is_refused_and_any_other_key_is_ignored(
    name: str, create: ComputeFactory, config: dict[str, object], typo: str
) -> None:
    registry = ComputeRegistry({name: create({})})

    registry.check(name, {**config, "zzzzzz": "hush"})
    with pytest.raises(ComputeRefused, match=rf"\$\.{typo} is unknown; did you mean") as caught:
        registry.check(name, {**config, typo: "hush"})

    assert "hush" not in str(caught.value)


def test_a_typo_is_found_at_any_depth_but_not_among_free_keys() -> None:
    registry = ComputeRegistry({"docker": create_docker({})})
    config = {"image": "x", "env": {"imagee": "1"}, "resources": {"memroy": 1}}

    with pytest.raises(ComputeRefused) as caught:
        registry.check("docker", config)

    assert "$.resources.memroy is unknown; did you mean $.resources.memory?" in str(caught.value)
    assert "imagee" not in str(caught.value)


def test_typos_are_found_in_lists_too() -> None:
    items: dict[str, object] = {"properties": {"port": {}}}
    schema = {"properties": {"ports": {"items": items}, "names": {"items": True}}}
    registry = ComputeRegistry({"any": ScriptedCompute(schema=schema)})

    with pytest.raises(ComputeRefused, match=r"\$\.ports\[1\]\.porrt is unknown"):
        registry.check("any", {"ports": [{"port": 1}, {"porrt": 2}], "names": ["x"]})


def test_unknown_keys_are_named_if_the_schema_allows_no_others() -> None:
    schema = {"properties": {"a": {}}, "additionalProperties": False}
    registry = ComputeRegistry({"strict": ScriptedCompute(schema=schema)})

    with pytest.raises(ComputeRefused, match=r"\$ breaks the rule .*, unknown: zzzzzz$"):
        registry.check("strict", {"a": 1, "zzzzzz": "hush"})
