import pytest

from landlord_engines_core import host
from landlord_engines_core.compute import (
    ComputeEngineFactory,
    ComputeRegistry,
    docker,
    ecs,
    process,
)
from landlord_engines_core.errors import ComputeRefused, PluginSettingsRefused
from landlord_engines_core.metrics import Metrics
from landlord_engines_core.plugins import find_compute_settings
from landlord_engines_core.settings import LogSettings, Settings, WorkerSettings
from landlord_test_target.compute_engines import docker_engine, make_compute_engine, read_section
from landlord_test_target.in_memory import RecordingLogger, ScriptedCompute


def start(factory: ComputeEngineFactory, section: dict[str, object]) -> ComputeRegistry:
    """Make one engine as a worker does."""
    assert find_compute_settings(factory.info.name) is factory.settings_type
    compute = {factory.info.name: read_section(factory, section)}
    settings = Settings(engine=None, compute=compute, log=LogSettings(), worker=WorkerSettings())
    return host.build_registry(settings, RecordingLogger(), Metrics())


@pytest.mark.parametrize(
    ("factory", "typo", "meant"),
    [
        (docker.factory, "netwrk_name", "network_name"),
        (docker.factory, "imagee", "image"),
        (docker.factory, "polcy", "policy"),
        (process.factory, "fodler", "folder"),
        (ecs.factory, "endpoint_ulr", "endpoint_url"),
        (ecs.factory, "cluster_am", "cluster_arn"),
    ],
)
def test_a_typo_in_a_section_is_refused_with_a_suggestion(
    factory: ComputeEngineFactory, typo: str, meant: str
) -> None:
    with pytest.raises(
        PluginSettingsRefused, match=rf"\.{typo} is unknown; did you mean compute\.\w+\.{meant}\?"
    ):
        start(factory, {typo: "x"})


@pytest.mark.parametrize("factory", [docker.factory, process.factory, ecs.factory])
def test_an_unknown_key_of_a_section_without_a_similar_one_is_refused_too(
    factory: ComputeEngineFactory,
) -> None:
    with pytest.raises(PluginSettingsRefused, match="zzzzzz is unknown"):
        start(factory, {"zzzzzz": "x"})


TENANTS = pytest.mark.parametrize(
    ("factory", "config", "typo"),
    [
        (docker.factory, {"image": "x"}, "read_onyl"),
        (process.factory, {"command": ["x"]}, "working_foldr"),
        (
            ecs.factory,
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
    factory: ComputeEngineFactory, config: dict[str, object], typo: str
) -> None:
    name = factory.info.name
    registry = ComputeRegistry({name: make_compute_engine(factory, {})})

    registry.check(name, {**config, "zzzzzz": "hush"})
    with pytest.raises(ComputeRefused, match=rf"\$\.{typo} is unknown; did you mean") as caught:
        registry.check(name, {**config, typo: "hush"})

    assert "hush" not in str(caught.value)


def test_a_typo_is_found_at_any_depth_but_not_among_free_keys() -> None:
    registry = ComputeRegistry({"docker": docker_engine({})})
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
