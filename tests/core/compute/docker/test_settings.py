from collections.abc import Mapping

import pytest

from landlord_engines_core.compute import docker
from landlord_engines_core.compute.docker.settings import DockerSettings
from landlord_engines_core.errors import SettingsError
from landlord_test_target.compute_engines import docker_engine, docker_settings, read_section


def test_without_settings_the_local_daemon_is_used_and_nothing_is_allowed() -> None:
    section = read_section(docker.factory, {})
    settings: DockerSettings = section.settings

    assert settings == DockerSettings()
    assert settings.host == "unix:///var/run/docker.sock"
    assert settings.policy.no_new_privileges
    assert settings.policy.pids_limit == 512
    assert section.defaults == {}


def test_a_settings_section_of_landlords_worker_is_accepted_unchanged() -> None:
    section = {
        "image": "nginx:latest",
        "host": "",
        "network_name": "bridge",
        "network_driver": "bridge",
        "label_prefix": "landlord",
        "env": {"A": "b"},
    }

    defaults = {"image": "nginx:latest", "env": {"A": "b"}}

    assert read_section(docker.factory, section).settings == DockerSettings()
    assert docker_engine(section).config_defaults() == defaults


@pytest.mark.parametrize(
    ("section", "named"),
    [
        ({"host": "npipe://x"}, "host must begin with"),
        ({"host": 7}, "host must begin with"),
        ({"host": ["x"]}, "compute.docker.host must be a text (f.yaml)"),
        ({"label_prefix": "-x"}, "label_prefix must be"),
        ({"network_name": "a b"}, "network_name must be"),
        ({"policy": 5}, "compute.docker.policy must be a map (f.yaml)"),
        ({"policy": {"privilegd": True}}, "policy.privilegd is unknown"),
        ({"policy": {"privileged": 7}}, "compute.docker.policy.privileged must be true or false"),
        ({"policy": {"bind_roots": ["srv"]}}, "policy.bind_roots"),
        ({"policy": {"bind_roots": ["/srv/../etc"]}}, "policy.bind_roots"),
        ({"policy": {"volumes": ["a/b"]}}, "policy.volumes"),
        ({"policy": {"volumes": [""]}}, "policy.volumes"),
        ({"policy": {"volumes": 7}}, "policy.volumes must be a list of texts"),
        ({"policy": {"devices": ["fuse"]}}, "policy.devices"),
        ({"policy": {"capabilities": ["net admin"]}}, "policy.capabilities"),
        ({"policy": {"pids_limit": 0}}, "policy.pids_limit"),
        ({"health_timeout": 0}, "health_timeout and request_timeout"),
        ({"stop_timeout": -1}, "stop_timeout must not be below zero"),
        ({"stable_window": -1}, "stable_window must be a duration"),
        ({"registries": {"r": {"username": "u"}}}, "registries must be a map"),
    ],
    ids=repr,
)
def test_a_wrong_setting_is_named(section: dict[str, object], named: str) -> None:
    with pytest.raises(SettingsError) as caught:
        docker_settings(section)

    assert named in caught.value.message


def test_credentials_are_not_shown() -> None:
    engine = docker_engine({"registries": {"r:5000": {"username": "me", "password": "sesame"}}})

    assert "sesame" not in repr(engine)
    assert "r:5000" in repr(engine)


def test_times_are_durations_and_bare_numbers_are_seconds() -> None:
    settings = docker_settings({"health_timeout": "1m30s", "stable_window": 2})

    assert (float(settings.health_timeout), float(settings.stable_window)) == (90, 2)


@pytest.mark.parametrize(
    ("environment", "host"),
    [
        ({"DOCKER_HOST": "tcp://docker"}, "tcp://docker"),
        ({"DOCKER_HOST": ""}, "tcp://file"),
        ({"DOCKER_HOST": "tcp://docker", "COMPUTE_DOCKER_HOST": "tcp://ours"}, "tcp://ours"),
    ],
)
def test_variables_of_docker_override_the_file_and_not_variables_of_the_worker(
    environment: Mapping[str, str], host: str
) -> None:
    section = read_section(docker.factory, {"host": "tcp://file"}, environment)

    assert section.settings.host == host


def test_dockers_own_clients_take_any_text_for_a_yes() -> None:
    environment = {"DOCKER_TLS_VERIFY": "0", "DOCKER_CERT_PATH": "/certificates"}
    settings = read_section(docker.factory, {}, environment).settings

    assert settings.tls_verify is True
    assert settings.cert_path == "/certificates"
