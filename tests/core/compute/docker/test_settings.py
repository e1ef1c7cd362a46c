import pytest

from landlord_engines_core.compute.docker.engine import from_settings
from landlord_engines_core.compute.docker.settings import DockerSettings, read_section
from landlord_engines_core.errors import ComputeRefused


def test_without_settings_the_local_daemon_is_used_and_nothing_is_allowed() -> None:
    settings, defaults = read_section({})

    assert settings == DockerSettings()
    assert settings.host == "unix:///var/run/docker.sock"
    assert settings.policy.no_new_privileges
    assert settings.policy.pids_limit == 512
    assert defaults == {}


def test_a_settings_section_of_landlords_worker_is_accepted_unchanged() -> None:
    section = {
        "image": "nginx:latest",
        "host": "",
        "network_name": "bridge",
        "network_driver": "bridge",
        "label_prefix": "landlord",
        "env": {"A": "b"},
    }

    settings, defaults = read_section(section)

    assert settings == DockerSettings()
    assert defaults == {"image": "nginx:latest", "env": {"A": "b"}}
    assert from_settings(section).config_defaults() == defaults


@pytest.mark.parametrize(
    ("section", "named"),
    [
        ({"host": "npipe://x"}, "host must begin with"),
        ({"host": 7}, "$.host must be a string"),
        ({"label_prefix": "-x"}, "label_prefix must be"),
        ({"network_name": "a b"}, "network_name must be"),
        ({"polcy": {}}, "polcy is unknown; did you mean compute.docker.policy?"),
        ({"policy": {"privilegd": True}}, "policy.privilegd is unknown"),
        ({"policy": {"privileged": "yes"}}, "$.policy.privileged must be true or false"),
        ({"policy": {"bind_roots": ["srv"]}}, "policy.bind_roots"),
        ({"policy": {"bind_roots": ["/srv/../etc"]}}, "policy.bind_roots"),
        ({"policy": {"volumes": ["a/b"]}}, "policy.volumes"),
        ({"policy": {"volumes": [""]}}, "policy.volumes"),
        ({"policy": {"volumes": "shared"}}, "policy.volumes"),
        ({"policy": {"bind_roots": "/srv"}}, "policy.bind_roots"),
        ({"policy": {"devices": ["fuse"]}}, "policy.devices"),
        ({"policy": {"capabilities": ["net admin"]}}, "policy.capabilities"),
        ({"policy": {"pids_limit": 0}}, "policy.pids_limit"),
        ({"health_timeout": 0}, "health_timeout and request_timeout"),
        ({"stop_timeout": -1}, "stop_timeout and stable_window"),
        ({"registries": {"r": {"username": "u"}}}, "registries"),
    ],
    ids=repr,
)
def test_a_wrong_setting_is_named(section: dict[str, object], named: str) -> None:
    with pytest.raises(ComputeRefused) as caught:
        read_section(section)

    assert named in caught.value.message


def test_credentials_are_not_shown() -> None:
    engine = from_settings({"registries": {"r:5000": {"username": "me", "password": "sesame"}}})

    assert "sesame" not in repr(engine)
    assert "r:5000" in repr(engine)
