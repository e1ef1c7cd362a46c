"""The section ``compute`` from the file, the environment and flags."""

from collections.abc import Mapping
from typing import Any

import attrs
import pytest

from landlord_engines_core.compute.docker import config as docker_config
from landlord_engines_core.compute.docker.settings import DockerSettings
from landlord_engines_core.compute.ecs import config as ecs_config
from landlord_engines_core.compute.process import config
from landlord_engines_core.compute.process.settings import ProcessSettings
from landlord_engines_core.errors import SettingsError
from landlord_engines_core.settings import Loaded, Sources
from landlord_engines_core.settings.compute import _MAPS

ENGINES = ("docker", "mock", "my-engine", "my", "process")


@attrs.frozen(kw_only=True)
class Nothing:
    """A worker engine's section without keys."""


def load(
    document: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    flags: Mapping[str, str] | None = None,
) -> Loaded:
    sources = Sources(
        document=document or {},
        file="f.yaml",
        environment=environment or {},
        flags=flags or {},
        compute_engines=ENGINES,
    )
    return sources.load("own", Nothing)


def refused(
    document: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    flags: Mapping[str, str] | None = None,
) -> str:
    with pytest.raises(SettingsError) as caught:
        load(document, environment, flags)
    return caught.value.message


def test_each_source_sets_its_keys_and_leaves_the_others() -> None:
    document = {"compute": {"docker": {"a": "file", "b": "file", "policy": {"x": 1, "y": 1}}}}
    environment = {
        "COMPUTE": '{"docker": {"b": "all", "c": "all"}, "mock": {}}',
        "COMPUTE_DOCKER_C": "key",
        "COMPUTE_DOCKER_D": "key",
    }
    flags = {"compute.docker.d": "flag", "compute.docker.policy.y": "2"}

    loaded = load(document, environment, flags)

    docker = {"a": "file", "b": "all", "c": "key", "d": "flag", "policy": {"x": 1, "y": 2}}
    assert loaded.settings.compute == {"docker": docker, "mock": {}}
    assert loaded.values["compute"] == loaded.settings.compute
    origins = "f.yaml, $COMPUTE, $COMPUTE_DOCKER_C, $COMPUTE_DOCKER_D, flag"
    assert loaded.origins["compute"] == origins
    assert load().origins["compute"] == "default"


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("unix:///run/docker.sock", "unix:///run/docker.sock"),
        ("no", "no"),
        ("True", "True"),
        ("true", True),
        ("5", 5),
        ('"5"', "5"),
        ("1.2.3", "1.2.3"),
        ("NaN", "NaN"),
        ('{"x": [1]}', {"x": [1]}),
        ('["a"]', ["a"]),
    ],
)
def test_a_json_value_is_read_as_json_and_any_other_as_text(written: str, value: object) -> None:
    by_variable = load(environment={"COMPUTE_MOCK_KEY": written})
    by_flag = load(flags={"compute.mock.key": written})

    assert by_variable.settings.compute == {"mock": {"key": value}}
    assert by_flag.settings.compute == {"mock": {"key": value}}


def test_a_variable_belongs_to_the_engine_with_the_longest_name_that_fits() -> None:
    environment = {"COMPUTE_MY_ENGINE_KEY": "x", "COMPUTE_MY_KEY_TWO": "y", "COMPUTE_MOCK": "{}"}

    compute = load(environment=environment).settings.compute

    assert compute == {"my-engine": {"key": "x"}, "my": {"key_two": "y"}, "mock": {}}


def test_a_variable_may_name_a_key_inside_a_map_whose_keys_are_known() -> None:
    document = {"compute": {"docker": {"policy": {"pids_limit": 1, "privileged": True}}}}
    environment = {"COMPUTE_DOCKER_POLICY_PIDS_LIMIT": "2", "COMPUTE_PROCESS_PORTS_FIRST": "7"}

    compute = load(document, environment).settings.compute

    policy = {"pids_limit": 2, "privileged": True}
    assert compute == {"docker": {"policy": policy}, "process": {"ports": {"first": 7}}}


def test_the_known_maps_are_maps_in_the_schemas_of_the_engines() -> None:
    docker = {*docker_config.SCHEMA["properties"], *attrs.fields_dict(DockerSettings)}  # type: ignore[misc]
    process = {*config.SCHEMA["properties"], *attrs.fields_dict(ProcessSettings)}  # type: ignore[misc]
    ecs = {*ecs_config.SCHEMA["properties"]}  # type: ignore[misc]

    known = {"docker": docker, "ecs": ecs, "process": process}

    assert {name: set(maps) - known[name] for name, maps in _MAPS.items()} == {
        name: set() for name in known
    }
    for name, maps in _MAPS.items():
        assert not [key for key in known[name] for one in maps if key.startswith(f"{one}_")]


def test_an_engine_that_only_the_file_names_has_variables_too() -> None:
    compute = load({"compute": {"nomad": None}}, {"COMPUTE_NOMAD_KEY": "x"}).settings.compute

    assert compute == {"nomad": {"key": "x"}}


def test_variables_of_docker_override_the_file_and_not_variables_of_the_worker() -> None:
    document = {"compute": {"docker": {"host": "tcp://file", "cert_path": "/file"}}}
    docker = {"DOCKER_HOST": "tcp://docker", "DOCKER_CERT_PATH": "/docker"}

    above = load(document, docker)
    below = load(document, {**docker, "COMPUTE_DOCKER_HOST": "tcp://ours"})

    assert above.settings.compute["docker"]["host"] == "tcp://docker"
    assert above.origins["compute"] == "f.yaml, $DOCKER_HOST, $DOCKER_CERT_PATH"
    assert below.settings.compute["docker"] == {"host": "tcp://ours", "cert_path": "/docker"}


@pytest.mark.parametrize(
    ("document", "environment", "flags", "named"),
    [
        ({"compute": []}, {}, {}, "compute must be a map of maps (f.yaml)"),
        ({"compute": {"mock": "x"}}, {}, {}, "compute.mock must be a map (f.yaml)"),
        ({}, {"COMPUTE": "[]"}, {}, "compute must be a map of maps ($COMPUTE)"),
        ({}, {"COMPUTE": "gpu"}, {}, "$COMPUTE is not JSON at line 1"),
        ({}, {"COMPUTE": '{"a": {}, "a": {}}'}, {}, "a is written 2 times in $COMPUTE"),
        ({}, {"COMPUTE": "1" * 5000}, {}, "compute cannot be read ($COMPUTE)"),
        ({}, {"COMPUTE_MOCK_KEY": "[" * 99999}, {}, "compute.mock.key cannot be read"),
        ({}, {"COMPUTE_MOCK_KEY": "{x"}, {}, "$COMPUTE_MOCK_KEY is not JSON at line 1"),
        ({}, {"COMPUTE": '{"mock": {"x": NaN}}'}, {}, "compute.mock.x is not a finite number"),
        ({}, {}, {"compute.mock": "x"}, "compute.mock must be a map (flag)"),
        ({"compute": {"mock": {"x": {1}}}}, {}, {}, "compute.mock.x is a set"),
    ],
)
def test_a_compute_section_of_another_form_is_refused_with_path_and_source(
    document: Mapping[str, Any],
    environment: Mapping[str, str],
    flags: Mapping[str, str],
    named: str,
) -> None:
    assert named in refused(document, environment, flags)


def test_variables_that_kubernetes_sets_for_a_service_are_ignored() -> None:
    environment = {
        "COMPUTE_DOCKER_SERVICE_HOST": "10.0.0.1",
        "COMPUTE_DOCKER_SERVICE_PORT": "2375",
        "COMPUTE_DOCKER_PORT": "tcp://10.0.0.1:2375",
        "COMPUTE_DOCKER_PORT_2375_TCP_ADDR": "10.0.0.1",
        "COMPUTE_DOCKER_NETWORK_NAME": "",
    }

    assert load(environment=environment).settings.compute == {}


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("COMPUTE_DOKCER_HOST", "COMPUTE_DOCKER_HOST"),
        ("COMPUT_DOCKER_HOST", "COMPUTE_DOCKER_HOST"),
        ("COMPUT_MY_ENGINE_KEY", "COMPUTE_MY_ENGINE_KEY"),
    ],
)
def test_a_variable_whose_engine_is_misspelt_is_an_error(name: str, meant: str) -> None:
    assert f"{name} is unknown; did you mean {meant}?" in refused(environment={name: "x"})


@pytest.mark.parametrize("name", ["COMPUTE_REGION", "COMPUTED_DOCKER", "COMPUTE_EC2_X"])
def test_other_variables_with_a_similar_prefix_are_ignored(name: str) -> None:
    assert load(environment={name: "x"}).settings.compute == {}
