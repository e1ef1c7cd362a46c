import re
from pathlib import Path

import attrs
import pytest
import yaml

from landlord_engines_core.compute import ComputeRegistry
from landlord_engines_core.compute.process import settings
from landlord_engines_core.compute.process.config import SCHEMA
from landlord_engines_core.compute.process.settings import ProcessSettings
from landlord_engines_core.errors import SettingsError
from landlord_engines_core.models import merge
from landlord_test_target.compute_engines import process_engine


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        ({"folder": ["x"]}, "compute.process.folder must be a text"),
        ({"folder": "relative"}, "folder is not an absolute path"),
        ({"ports": {"first": 2, "last": 1}}, "ports is not a range"),
        ({"ports": {"first": 0, "last": 1}}, "ports is not a range"),
        ({"ports": {"last": 65536}}, "ports is not a range"),
        ({"output_limit": 0}, "output_limit is less than 1"),
        ({"output_limit": "1x"}, "output_limit must be a whole number"),
    ],
)
def test_a_bad_setting_is_refused_by_its_name(section: dict[str, object], problem: str) -> None:
    with pytest.raises(SettingsError, match=problem):
        process_engine(section)


def test_the_default_folder_is_the_users_state_folder() -> None:
    assert Path(process_engine({}).settings.folder).is_relative_to(Path.home())


def test_an_error_for_a_user_without_a_home_names_the_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(settings, "state_folder", lambda: None)

    with pytest.raises(SettingsError, match="no home folder") as caught:
        process_engine({})

    assert "compute.process.folder" in caught.value.hint
    assert process_engine({"folder": "/state"}).settings.folder == "/state"


def test_the_documented_configuration_is_accepted() -> None:
    text = (Path(__file__).parents[4] / "docs" / "compute" / "process.md").read_text()
    operators, tenants = map(yaml.safe_load, re.findall("```yaml\n(.*?)```", text, re.DOTALL))

    engine = process_engine(operators["compute"]["process"])
    config = merge(engine.config_defaults(), tenants)

    ComputeRegistry({"process": engine}).check("process", config)
    assert config["env"] == {"LOG_LEVEL": "info", "GREETING": "hello"}


def test_every_key_is_documented() -> None:
    text = (Path(__file__).parents[4] / "docs" / "compute" / "process.md").read_text()
    keys = {*SCHEMA["properties"], *(field.name for field in attrs.fields(ProcessSettings))}  # type: ignore[misc]

    assert {key for key in keys if f"\n| `{key}` |" not in text} == set()
