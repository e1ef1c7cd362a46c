import re
from pathlib import Path

import attrs
import pytest
import yaml

from landlord_engines_core.compute import ComputeRegistry
from landlord_engines_core.compute.process import create_process, settings
from landlord_engines_core.compute.process.config import SCHEMA
from landlord_engines_core.compute.process.settings import ProcessSettings
from landlord_engines_core.errors import ComputeRefused
from landlord_engines_core.models import merge


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        (
            {"fodler": "/x"},
            "compute.process.fodler is unknown; did you mean compute.process.folder?",
        ),
        ({"folder": 1}, r"\$.folder must be a string"),
        ({"folder": "relative"}, "folder is not an absolute path"),
        ({"ports": {"first": 2, "last": 1}}, "ports is not a range"),
        ({"ports": {"first": 0, "last": 1}}, "ports is not a range"),
        ({"ports": {"last": 65536}}, "ports is not a range"),
        ({"output_limit": 0}, "output_limit is less than 1"),
        ({"output_limit": "1"}, r"\$.output_limit must be a whole number"),
    ],
)
def test_a_bad_setting_is_refused_by_its_name(section: dict[str, object], problem: str) -> None:
    with pytest.raises(ComputeRefused, match=problem):
        create_process(section)


def test_the_default_folder_is_the_users_state_folder() -> None:
    assert Path(create_process({}).settings.folder).is_relative_to(Path.home())


def test_an_error_for_a_user_without_a_home_names_the_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(settings, "state_folder", lambda: None)

    with pytest.raises(ComputeRefused, match="no home folder") as caught:
        create_process({})

    assert "compute.process.folder" in caught.value.hint
    assert create_process({"folder": "/state"}).settings.folder == "/state"


def test_the_documented_configuration_is_accepted() -> None:
    text = (Path(__file__).parents[4] / "docs" / "compute" / "process.md").read_text()
    operators, tenants = map(yaml.safe_load, re.findall("```yaml\n(.*?)```", text, re.DOTALL))

    engine = create_process(operators["compute"]["process"])
    config = merge(engine.config_defaults(), tenants)

    ComputeRegistry({"process": engine}).check("process", config)
    assert config["env"] == {"LOG_LEVEL": "info", "GREETING": "hello"}


def test_every_key_is_documented() -> None:
    text = (Path(__file__).parents[4] / "docs" / "compute" / "process.md").read_text()
    keys = {*SCHEMA["properties"], *(field.name for field in attrs.fields(ProcessSettings))}  # type: ignore[misc]

    assert {key for key in keys if f"\n| `{key}` |" not in text} == set()
