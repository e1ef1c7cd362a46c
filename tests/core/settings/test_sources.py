from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import attrs
import pytest

from landlord_engines_core.errors import SettingsError
from landlord_engines_core.settings import Duration, Loaded, Secret, Sources, Url


@attrs.frozen(kw_only=True)
class TypedSettings:
    """A settings section with one key of each type."""

    endpoint: Url | None = None
    api_key: Secret | None = None
    keys: tuple[str, ...] = ()
    worker_compute_cache_ttl: Duration | None = None
    worker_compute_provider: str | None = None
    address: str = attrs.field(
        default="here", metadata={"environment": {"MY_ADDRESS": "{}", "PORT": ":{}"}}
    )


def load(
    document: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    flags: Mapping[str, str] | None = None,
    engine: str = "my-engine",
) -> Loaded:
    sources = Sources(
        document=document or {}, file="f.yaml", environment=environment or {}, flags=flags or {}
    )
    return sources.load(engine, TypedSettings)


def settings_error(
    document: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    flags: Mapping[str, str] | None = None,
) -> str:
    with pytest.raises(SettingsError) as caught:
        load(document, environment, flags)
    return caught.value.message


def test_a_flag_beats_the_environment_beats_the_file_beats_the_default() -> None:
    path = "worker.drain_timeout"
    document, variable = {"worker": {"drain_timeout": "1s"}}, {"WORKER_DRAIN_TIMEOUT": "2s"}

    loaded = [
        load(),
        load(document),
        load(document, variable),
        load(document, variable, {path: "3s"}),
    ]

    assert [float(settings.settings.worker.drain_timeout) for settings in loaded] == [30, 1, 2, 3]
    origins = ["default", "f.yaml", "$WORKER_DRAIN_TIMEOUT", "flag"]
    assert [settings.origins[path] for settings in loaded] == origins


def test_a_settings_file_of_landlords_worker_is_accepted_unchanged() -> None:
    document = {
        "database": {"provider": "postgres"},
        "http": {"port": 8081},
        "controller": {"enabled": True},
        "compute": {"mock": {"placeholder": "1"}, "docker": None},
        "log": {"level": "warn", "format": "production"},
        "workflow": {
            "default_provider": "my-engine",
            "step_functions": {"region": "x"},
            "temporal": {"namespace": "y"},
            "my-engine": {"endpoint": "http://h"},
        },
        "tailscale": {"new": "section"},
    }

    settings = load(document).settings

    sections = {name: section.defaults for name, section in settings.compute.items()}
    assert sections == {"mock": {"placeholder": "1"}, "docker": {}}
    assert (settings.log.level, settings.log.format) == ("warn", "production")
    assert settings.engine.endpoint == "http://h"


@pytest.mark.parametrize(
    ("environment", "address"),
    [
        ({}, "here"),
        ({"PORT": "1"}, ":1"),
        ({"MY_ADDRESS": "a:2", "PORT": "1"}, "a:2"),
        ({"WORKFLOW_MY_ENGINE_ADDRESS": "b:3", "MY_ADDRESS": "a:2"}, "b:3"),
    ],
)
def test_a_field_may_have_more_variables(environment: Mapping[str, str], address: str) -> None:
    assert load(environment=environment).settings.engine.address == address


def test_the_section_of_an_engine_fills_unset_keys_of_worker() -> None:
    section = {"worker_compute_cache_ttl": "7s", "worker_compute_provider": "mock"}
    document = {"workflow": {"my-engine": section}, "worker": {"compute_provider": "docker"}}

    loaded = load(document)

    assert loaded.settings.worker.compute_cache_ttl == Duration(7)
    assert loaded.settings.worker.compute_provider == "docker"
    filled = "workflow.my-engine.worker_compute_cache_ttl"
    assert loaded.origins["worker.compute_cache_ttl"] == filled
    assert load().settings.worker.compute_cache_ttl == Duration(300)


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ({"workers": {}}, "workers is unknown; did you mean worker? (f.yaml)"),
        ({"workflow": {"my_engin": {}}}, "did you mean workflow.my_engine?"),
        ({"worker": {"drain_timeot": 1}}, "did you mean worker.drain_timeout?"),
        ({"worker": {"zzz": 1}}, "worker.zzz is unknown (f.yaml)"),
        ({"log": {"levle": "x"}}, "did you mean log.level?"),
        ({"workflow": {"my-engine": {"zzz": 1}}}, "workflow.my_engine.zzz is unknown"),
        ({"worker": {"drain_timeout": "soon"}}, "worker.drain_timeout must be a duration"),
        ({"worker": {"step_timeout": 0}}, "worker.step_timeout must be above zero"),
        ({"worker": {"max_concurrent_jobs": 0}}, "worker.max_concurrent_jobs must be above"),
        ({"log": {"level": "trace"}}, "log.level must be one of debug, info, warn, error"),
        ({"workflow": "restate"}, "workflow must be a map (f.yaml)"),
        (
            {"worker": {"drain_timeout": 1, "drain-timeout": 2}},
            "worker.drain-timeout and worker.drain_timeout are the same key: keep one (f.yaml)",
        ),
        (
            {"workflow": {"my-engine": {}, "my_engine": {}}},
            "workflow.my_engine and workflow.my-engine are the same key",
        ),
    ],
)
def test_errors_in_a_file_are_named_with_suggestions(
    document: Mapping[str, Any], named: str
) -> None:
    assert named in settings_error(document)


@pytest.mark.parametrize("section", ["restate", "step_functions", "mock", "temporal"])
def test_sections_of_landlord_are_never_mistaken_for_a_misspelt_engine(section: str) -> None:
    load({"workflow": {section: {"any": "thing"}}}, engine=f"{section.replace('_', '')}s")


@attrs.frozen(kw_only=True)
class CheckedSettings:
    """A settings section with a check of its own."""

    token: Secret
    size: int = attrs.field(default=1, validator=attrs.validators.lt(5))


def test_unused_keys_in_landlords_examples_are_ignored() -> None:
    document = {
        "log": {"development": False},
        "workflow": {"defaultProvider": "restate", "restate": {"auth_token": "secret"}},
    }
    environment = {"WORKFLOW_RESTATE_AUTH_TOKEN": "secret"}

    loaded = load(document, environment, engine="restate")

    assert loaded.unused == (
        "log.development",
        "workflow.defaultProvider",
        "workflow.restate.auth_token",
        "$WORKFLOW_RESTATE_AUTH_TOKEN",
    )
    assert load().unused == ()


def test_a_key_that_an_engine_needs_and_nobody_set_is_named() -> None:
    sources = Sources(document={}, file="", environment={}, flags={})

    with pytest.raises(SettingsError, match=r"workflow\.x\.token is missing.*WORKFLOW_X_TOKEN"):
        sources.load("x", CheckedSettings)


def test_an_error_of_the_checks_of_an_engine_shows_no_values() -> None:
    flags = {"workflow.x.token": "sesame", "workflow.x.size": "777"}

    with pytest.raises(SettingsError, match=r"refuse workflow\.x") as caught:
        Sources(document={}, file="", environment={}, flags=flags).load("x", CheckedSettings)

    assert "777" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_an_empty_variable_is_not_set() -> None:
    loaded = load(environment={"WORKER_COMPUTE_PROVIDER": "", "PORT": ""})

    assert loaded.settings.worker.compute_provider is None
    assert loaded.settings.engine.address == "here"


def test_a_similar_variable_is_an_error_and_others_are_ignored() -> None:
    assert "did you mean WORKER_DRAIN_TIMEOUT?" in settings_error(
        environment={"WORKER_DRAIN_TIMEOT": "1s"}
    )
    load(environment={"WORKER_PORT_9080_TCP": "tcp://10.0.0.1:9080", "PATH": "/bin"})


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("LOG_LEVL", "LOG_LEVEL"),
        ("COMPUT", "COMPUTE"),
        ("WORKFLOW_DEFAULT_PROVIDR", "WORKFLOW_DEFAULT_PROVIDER"),
        ("WORKFLOW_MY_ENGINE_ENDPONT", "WORKFLOW_MY_ENGINE_ENDPOINT"),
        ("WORKFLOW_MY_ENGIN_ENDPOINT", "WORKFLOW_MY_ENGINE_ENDPOINT"),
        ("WORKFLOW_MY_ENGINE_API", "WORKFLOW_MY_ENGINE_API_KEY"),
        ("WORKER_DRAIN_TIMEOUTS_", "WORKER_DRAIN_TIMEOUT"),
        ("WORKER_CONCURRENT_JOBS", "WORKER_MAX_CONCURRENT_JOBS"),
        ("MY_ADDRES", "MY_ADDRESS"),
        ("LANDLORD_CONFG", "LANDLORD_CONFIG"),
        ("worker.drain-timeout", "WORKER_DRAIN_TIMEOUT"),
        ("log_level", "LOG_LEVEL"),
    ],
)
def test_a_misspelt_variable_is_an_error_that_names_the_right_one(name: str, meant: str) -> None:
    named = f"the environment variable {name} is unknown; did you mean {meant}?"

    assert named in settings_error(environment={name: "1"})


@pytest.mark.parametrize(
    "name",
    [
        "LOGNAME",
        "LOG_DIR",
        "PATH",
        "PROT",
        "WORKER_COUNT",
        "WORKER_TIMEOUT",
        "WORKERS",
        "WORKFLOW_ID",
        "WORKFLOW_SFN_REGION",
        "WORKFLOW_MY_ENGINE_ZZZ",
        "LANDLORD_HOME",
        # Landlord's documents name these keys, and no program reads them.
        "LANDLORD_WORKFLOW_RESTATE_ENDPOINT",
        "LANDLORD_WORKFLOW_MY_ENGINE_ENDPOINT",
    ],
)
def test_a_variable_of_another_program_is_ignored(name: str) -> None:
    assert set(load(environment={name: "1"}).origins.values()) == {"default"}


def test_an_empty_misspelt_variable_is_ignored() -> None:
    assert set(load(environment={"LOG_LEVL": ""}).origins.values()) == {"default"}


@attrs.frozen(kw_only=True)
class SettingsWithPort:
    """A section with the key `port`. Kubernetes may set its variable for a service of that name."""

    port: int = 1


def test_a_service_variable_of_kubernetes_is_never_read_as_a_setting() -> None:
    injected = {
        "WORKFLOW_X_SERVICE_HOST": "10.0.0.1",
        "WORKFLOW_X_SERVICE_PORT": "80",
        "WORKFLOW_X_PORT": "tcp://10.0.0.1:80",
        "LOG_PORT": "tcp://10.0.0.2:80",
        "WORKER_PROBE_ADDRESS_PORT": "tcp://10.0.0.3:80",
    }
    by_hand = {"WORKFLOW_X_PORT": "7"}

    ports = [
        Sources(document={}, file="", environment=environment, flags={}).load("x", SettingsWithPort)
        for environment in (injected, by_hand)
    ]

    assert [settings.settings.engine.port for settings in ports] == [1, 7]


def test_a_misspelt_variable_of_the_default_engine_is_reported() -> None:
    sources = Sources(
        document={}, file="", environment={"WORKFLOW_DEFAULT_PROVIDR": "restate"}, flags={}
    )

    with pytest.raises(SettingsError, match="did you mean WORKFLOW_DEFAULT_PROVIDER"):
        sources.default_engine()


@pytest.mark.parametrize(
    ("flag", "named"),
    [
        ("worker.zzz", "worker.zzz is unknown (flag)"),
        ("zzz", "zzz is unknown (flag)"),
        ("worker.drain_timeot", "did you mean worker.drain_timeout? (flag)"),
        ("workflow.my_engine.api", "did you mean workflow.my_engine.api_key? (flag)"),
        ("workflow.my_engin.endpoint", "did you mean workflow.my_engine.endpoint? (flag)"),
    ],
)
def test_a_flag_for_an_unknown_path_is_an_error(flag: str, named: str) -> None:
    assert named in settings_error(flags={flag: "1"})


def test_a_flag_may_have_dashes_as_in_a_file() -> None:
    loaded = load(flags={"worker.drain-timeout": "7s", "workflow.my-engine.address": "there"})

    assert loaded.settings.worker.drain_timeout == Duration(7)
    assert loaded.settings.engine.address == "there"


def test_a_value_that_json_lacks_is_refused_in_the_used_sections() -> None:
    document = {
        "worker": {"compute_provider": date(2026, 1, 1)},
        "workflow": {"my-engine": {"address": {"x"}}, "temporal": {"since": date(2026, 1, 1)}},
        "controller": {"since": date(2026, 1, 1)},
    }

    text = settings_error(document)

    assert "worker.compute_provider is a date" in text
    assert "workflow.my_engine.address is a set, which JSON cannot represent" in text
    assert "(f.yaml)" in text
    assert "since" not in text


def test_all_errors_are_reported_together_and_no_value_is_shown() -> None:
    section = {"api_key": ["sesame"], "endpoint": "sesame"}

    text = settings_error({"workflow": {"my-engine": section}})

    assert "workflow.my_engine.api_key must be a text (f.yaml)" in text
    assert "workflow.my_engine.endpoint must be an http or https URL" in text
    assert "sesame" not in text


def test_the_default_engine_is_named_by_file_environment_and_flag() -> None:
    sources = Sources(
        document={"workflow": {"default_provider": "a"}}, file="", environment={}, flags={}
    )

    assert sources.default_engine() == "a"
    environment = {"WORKFLOW_DEFAULT_PROVIDER": "b"}
    sources = attrs.evolve(sources, environment=environment)
    assert sources.default_engine() == "b"
    sources = attrs.evolve(sources, flags={"workflow.default_provider": "c"})
    assert sources.default_engine() == "c"
    assert attrs.evolve(sources, document={}, flags={}, environment={}).default_engine() == ""


def gather_sources(config: Path | None = None, **environment: str) -> Sources:
    return Sources.gather(config, environment, {})


def test_a_file_is_found_where_landlord_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    home = tmp_path / "home" / "landlord"
    home.mkdir(parents=True)
    assert gather_sources().file == ""

    (home / "config.json").write_text('{"log": {"level": "warn"}}')
    assert gather_sources(XDG_CONFIG_HOME=str(tmp_path / "home")).document == {
        "log": {"level": "warn"}
    }
    (tmp_path / "config.yaml").write_text("")
    assert gather_sources(XDG_CONFIG_HOME=str(tmp_path / "home")).file == "config.yaml"
    named = tmp_path / "named.yaml"
    named.write_text("log: {level: error}")
    assert gather_sources(LANDLORD_CONFIG=str(named)).file == str(named)
    assert gather_sources(named, LANDLORD_CONFIG="nowhere").file == str(named)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"a: [", "is not YAML at line 1"),
        (b"- a", "contains no map"),
        (b"\xff\xfe\xfa", "cannot be read"),
        (b"api_key: *sesame", "is not YAML at line 1"),
        (b"api_key: !sesame x", "is not YAML at line 1"),
        (b"api_key: sesame\0", "is not YAML"),
        (b"[" * 500, "cannot be read"),
        (b"worker: {}\nworker: {}", "worker is written 2 times"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, content: bytes, named: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(content)

    with pytest.raises(SettingsError, match=named) as caught:
        gather_sources(path)

    assert "sesame" not in str(caught.value)


def test_a_json_file_is_read_as_json(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(b'\xef\xbb\xbf{\n\t"log": {"level": "warn"}\n}')
    assert gather_sources(path).document == {"log": {"level": "warn"}}

    path.write_text("log: {level: warn}")
    with pytest.raises(SettingsError, match="is not JSON at line 1"):
        gather_sources(path)


def test_a_file_that_was_named_and_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="does not exist"):
        gather_sources(LANDLORD_CONFIG=str(tmp_path / "nowhere"))
