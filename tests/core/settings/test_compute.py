"""The section ``compute`` from the file, the environment and flags."""

from collections.abc import Mapping
from typing import Any

import attrs
import pytest

from landlord_engines_core.compute.docker import config as docker_config
from landlord_engines_core.compute.ecs import config as ecs_config
from landlord_engines_core.compute.process import config
from landlord_engines_core.errors import SettingsError
from landlord_engines_core.settings import Duration, Loaded, Secret, Sources
from landlord_engines_core.settings.compute import _MAPS

ENGINES = ("docker", "mock", "my-engine", "my", "process", "typed")


@attrs.frozen(kw_only=True)
class EmptySettings:
    """A worker engine's section without keys."""

    worker_compute_provider: str | None = None


NO_TOKEN, SECOND = Secret(""), Duration(1.0)


@attrs.frozen(kw_only=True)
class InnerSettings:
    """A map of settings."""

    deep_limit: int = 1
    flag: bool = False


def even(_: object, __: object, value: int) -> None:
    """Refuse an odd number with an error that quotes it, as a careless class would."""
    if value % 2:
        raise ValueError(value)


@attrs.frozen(kw_only=True)
class TypedSettings:
    """Settings of each kind."""

    url: str
    token: Secret = NO_TOKEN
    tokens: dict[str, Secret] = attrs.field(factory=dict)
    more: dict[str, Any] = attrs.field(factory=dict)
    names: tuple[str, ...] = ()
    ratio: float = 0.5
    pause: Duration = SECOND
    inner: InnerSettings = InnerSettings()
    number: int = attrs.field(default=0, validator=even)
    proxy: str = attrs.field(default="", metadata={"environment": {"PROXY": "x{}", "OTHER": "{}"}})

    def check(self) -> None:
        if self.url == "bad":
            raise SettingsError("compute.typed.url is bad")


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
        compute_type={"typed": TypedSettings}.get,
    )
    return sources.load("own", EmptySettings)


def defaults(loaded: Loaded) -> dict[str, Any]:
    """Read the sections of engines without settings: all of their keys are defaults."""
    sections = loaded.settings.compute
    assert all(section.settings is None for section in sections.values())
    return {name: dict(section.defaults) for name, section in sections.items()}


def typed(
    section: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    flags: Mapping[str, str] | None = None,
) -> TypedSettings:
    whole = {"url": "http://h", **(section or {})}
    loaded = load({"compute": {"typed": whole}}, environment, flags)
    settings: TypedSettings = loaded.settings.compute["typed"].settings
    return settings


def settings_error(
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
    assert defaults(loaded) == {"docker": docker, "mock": {}}
    keys = ("a", "b", "c", "d", "policy")
    origins = ["f.yaml", "$COMPUTE", "$COMPUTE_DOCKER_C", "flag", "f.yaml, flag"]
    assert [loaded.origins[f"compute.docker.{key}"] for key in keys] == origins
    assert {loaded.values[f"compute.docker.{key}"] for key in keys} == {"***"}


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

    assert defaults(by_variable) == {"mock": {"key": value}}
    assert defaults(by_flag) == {"mock": {"key": value}}


def test_a_variable_belongs_to_the_engine_with_the_longest_name_that_fits() -> None:
    environment = {"COMPUTE_MY_ENGINE_KEY": "x", "COMPUTE_MY_KEY_TWO": "y", "COMPUTE_MOCK": "{}"}

    compute = defaults(load(environment=environment))

    assert compute == {"my-engine": {"key": "x"}, "my": {"key_two": "y"}, "mock": {}}


def test_a_variable_may_name_a_key_inside_a_map_whose_keys_are_known() -> None:
    document = {"compute": {"docker": {"resources": {"memory": "1m", "cpus": "1"}}}}
    environment = {"COMPUTE_DOCKER_RESOURCES_MEMORY": "2m", "COMPUTE_PROCESS_HEALTH_WITHIN": "7"}

    compute = defaults(load(document, environment))

    resources = {"memory": "2m", "cpus": "1"}
    assert compute == {"docker": {"resources": resources}, "process": {"health": {"within": 7}}}


def test_the_known_maps_are_maps_in_the_schemas_of_the_engines() -> None:
    schemas = {
        "docker": docker_config.SCHEMA,
        "ecs": ecs_config.SCHEMA,
        "process": config.SCHEMA,
    }
    known = {name: {*schema["properties"]} for name, schema in schemas.items()}  # type: ignore[misc]

    assert {name: set(maps) - known[name] for name, maps in _MAPS.items()} == {
        name: set() for name in known
    }
    for name, maps in _MAPS.items():
        assert not [
            key for key in known[name] for map_name in maps if key.startswith(f"{map_name}_")
        ]


def test_an_engine_that_only_the_file_names_has_variables_too() -> None:
    compute = defaults(load({"compute": {"nomad": None}}, {"COMPUTE_NOMAD_KEY": "x"}))

    assert compute == {"nomad": {"key": "x"}}


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
    assert named in settings_error(document, environment, flags)


def test_variables_that_kubernetes_sets_for_a_service_are_ignored() -> None:
    environment = {
        "COMPUTE_DOCKER_SERVICE_HOST": "10.0.0.1",
        "COMPUTE_DOCKER_SERVICE_PORT": "2375",
        "COMPUTE_DOCKER_PORT": "tcp://10.0.0.1:2375",
        "COMPUTE_DOCKER_PORT_2375_TCP_ADDR": "10.0.0.1",
        "COMPUTE_DOCKER_NETWORK_NAME": "",
    }

    assert defaults(load(environment=environment)) == {}


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("COMPUTE_DOKCER_HOST", "COMPUTE_DOCKER_HOST"),
        ("COMPUT_DOCKER_HOST", "COMPUTE_DOCKER_HOST"),
        ("COMPUT_MY_ENGINE_KEY", "COMPUTE_MY_ENGINE_KEY"),
    ],
)
def test_a_variable_whose_engine_is_misspelt_is_an_error(name: str, meant: str) -> None:
    assert f"{name} is unknown; did you mean {meant}?" in settings_error(environment={name: "x"})


@pytest.mark.parametrize("name", ["COMPUTE_REGION", "COMPUTED_DOCKER", "COMPUTE_EC2_X"])
def test_other_variables_with_a_similar_prefix_are_ignored(name: str) -> None:
    assert defaults(load(environment={name: "x"})) == {}


def test_a_setting_has_its_type_whatever_source_it_is_from() -> None:
    document = {"pause": "1m", "inner": {"flag": "no"}, "names": ["a", 5], "ratio": 1}
    environment = {
        "COMPUTE_TYPED_INNER_DEEP_LIMIT": "7",
        "COMPUTE_TYPED_TOKENS": '{"a": "sesame"}',
    }
    settings = typed(document, environment, {"compute.typed.number": "4"})

    assert settings == TypedSettings(
        url="http://h",
        pause=Duration(60),
        names=("a", "5"),
        ratio=1.0,
        inner=InnerSettings(deep_limit=7),
        tokens={"a": Secret("sesame")},
        number=4,
    )


@pytest.mark.parametrize(
    ("written", "text"),
    [("1e3", "1e3"), ("true", "true"), ("{x", "{x"), ('"5"', "5"), ("[]", "[]"), ("NaN", "NaN")],
)
def test_a_text_in_a_variable_is_no_json_apart_from_its_quotation_marks(
    written: str, text: str
) -> None:
    assert typed(environment={"COMPUTE_TYPED_TOKEN": written}).token == text


def test_each_setting_is_shown_with_its_origin_and_no_secret() -> None:
    section = {"url": "http://h", "tokens": {"a": "sesame"}, "env": {"KEY": "sesame"}}

    loaded = load(
        {"compute": {"typed": section}},
        {"COMPUTE_TYPED_TOKEN": "sesame"},
        {"compute.typed.more.a": "[1]"},
    )

    settings_shown = [
        (path, repr(value), loaded.origins[path]) for path, value in loaded.values.items()
    ]
    assert settings_shown[:12] == [
        ("compute.typed.url", "'http://h'", "f.yaml"),
        ("compute.typed.token", "'*******'", "$COMPUTE_TYPED_TOKEN"),
        ("compute.typed.tokens", "{'a': '*******'}", "f.yaml"),
        ("compute.typed.more", "{'a': [1]}", "flag"),
        ("compute.typed.names", "()", "default"),
        ("compute.typed.ratio", "0.5", "default"),
        ("compute.typed.pause", "1.0", "default"),
        ("compute.typed.inner.deep_limit", "1", "default"),
        ("compute.typed.inner.flag", "False", "default"),
        ("compute.typed.number", "0", "default"),
        ("compute.typed.proxy", "''", "default"),
        ("compute.typed.env", "'***'", "f.yaml"),
    ]
    assert "compute.typed.pause" in loaded.durations
    assert "worker.drain_timeout" in loaded.durations
    assert "sesame" not in repr(loaded)


@pytest.mark.parametrize(
    ("environment", "proxy"),
    [
        ({}, "file"),
        ({"PROXY": "p", "OTHER": "o"}, "xp"),
        ({"OTHER": "o"}, "o"),
        ({"OTHER": "o", "COMPUTE_TYPED_PROXY": "own"}, "own"),
        ({"OTHER": "o", "COMPUTE": '{"typed": {"proxy": "all"}}'}, "all"),
    ],
)
def test_a_setting_may_have_more_variables(environment: Mapping[str, str], proxy: str) -> None:
    assert typed({"proxy": "file"}, environment).proxy == proxy


def test_a_key_may_have_dashes_and_an_empty_one_counts_as_not_set() -> None:
    settings = typed({"inner": {"deep-limit": 3, "flag": None}, "ratio": "", "names": None})

    assert settings == TypedSettings(url="http://h", inner=InnerSettings(deep_limit=3))


@pytest.mark.parametrize(
    ("section", "named"),
    [
        ({}, "compute.typed.url is missing: set it in the file, or as $COMPUTE_TYPED_URL"),
        ({"urll": "u"}, "compute.typed.urll is unknown; did you mean compute.typed.url? (f.yaml)"),
        ({"ratio": "x"}, "compute.typed.ratio must be a number (f.yaml)"),
        ({"ratio": True}, "compute.typed.ratio must be a number (f.yaml)"),
        ({"ratio": "inf"}, "compute.typed.ratio must be a number (f.yaml)"),
        ({"token": ["sesame"]}, "compute.typed.token must be a text (f.yaml)"),
        ({"inner": ["sesame"]}, "compute.typed.inner must be a map (f.yaml)"),
        (
            {"inner": {"deep_limti": 1}},
            "compute.typed.inner.deep_limti is unknown; did you mean compute.typed.inner.deep_limit?",
        ),
        ({"inner": {"zzz": 1}}, "compute.typed.inner.zzz is unknown (f.yaml)"),
        (
            {"inner": {"deep_limit": 1, "deep-limit": 1}},
            "compute.typed.inner.deep-limit and compute.typed.inner.deep_limit are the same key",
        ),
        ({"url": "u", "number": 3}, "the checks of compute engine typed refuse compute.typed"),
    ],
)
def test_a_wrong_setting_is_named_with_its_source(section: Mapping[str, Any], named: str) -> None:
    text = settings_error({"compute": {"typed": section}})

    assert named in text
    assert "sesame" not in text


def test_all_wrong_settings_are_in_one_error() -> None:
    text = settings_error({"compute": {"typed": {"ratio": "x"}}, "log": {"level": "loud"}})

    assert "log.level must be" in text
    assert "compute.typed.ratio must be" in text
    assert "compute.typed.url is missing" in text


def test_settings_that_do_not_fit_together_are_refused_by_their_check() -> None:
    loaded = load({"compute": {"typed": {"url": "bad"}, "mock": {}}})

    with pytest.raises(SettingsError, match=r"compute\.typed\.url is bad"):
        loaded.check()
    load({"compute": {"typed": {"url": "good"}, "mock": {}}}).check()


@pytest.mark.parametrize(
    "document",
    [
        {"worker": {"compute_provider": "typed"}},
        {"worker": {"force_compute_provider": "typed"}},
        {"workflow": {"own": {"worker_compute_provider": "typed"}}},
    ],
)
def test_an_engine_that_only_the_worker_names_has_settings_too(document: Mapping[str, Any]) -> None:
    loaded = load(document, {"OTHER": "o", "COMPUTE": '{"typed": {"url": "u"}}'})

    assert loaded.settings.compute["typed"].settings == TypedSettings(url="u", proxy="o")
    assert "compute.typed.url is missing" in settings_error(document)


def test_an_engine_that_only_the_worker_names_is_no_section_of_a_source() -> None:
    document = {"worker": {"compute_provider": "mock"}}
    sources = Sources(document=document, file="f.yaml", environment={}, flags={})

    assert not sources.has_compute()
    assert attrs.evolve(sources, flags={"compute.mock.a": "1"}).has_compute()


def test_the_engines_choice_counts_only_where_the_worker_makes_none() -> None:
    document = {
        "worker": {"compute_provider": "mock"},
        "workflow": {"own": {"worker_compute_provider": "typed"}},
    }

    assert list(load(document).settings.compute) == ["mock"]
