"""The search for the settings file. Root is never denied, so unusable names replace denied ones."""

import os
from pathlib import Path

import pytest

from landlord_engines_core.errors import SettingsError
from landlord_engines_core.settings.files import find_file, read_file


@pytest.fixture(autouse=True)
def _change_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("landlord_engines_core.settings.files._LANDLORD_FOLDER", tmp_path / "etc")


@pytest.mark.parametrize("name", ["config.yaml", "config.json"])
def test_a_settings_file_that_is_a_folder_is_reported(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()

    with pytest.raises(SettingsError, match="is a folder") as caught:
        find_file(None, {})

    assert str(tmp_path / name) in caught.value.message
    assert "bind mount" in caught.value.hint


@pytest.mark.parametrize("setting", ["--config", "LANDLORD_CONFIG"])
@pytest.mark.parametrize("problem", ["is a folder", "does not exist", "cannot be searched for"])
def test_an_error_for_a_named_file_says_which_setting_named_it(
    tmp_path: Path, setting: str, problem: str
) -> None:
    path = tmp_path / "named.yaml"
    if problem == "is a folder":
        path.mkdir()
    elif problem == "cannot be searched for":
        path.symlink_to(path)
    environment = {"LANDLORD_CONFIG": str(path)} if setting == "LANDLORD_CONFIG" else {}

    with pytest.raises(SettingsError, match=problem) as caught:
        find_file(path if setting == "--config" else None, environment)

    assert str(path) in caught.value.message
    assert setting in caught.value.message


@pytest.mark.parametrize("where", ["the working folder", "Landlord's folder", "XDG_CONFIG_HOME"])
def test_an_error_for_an_unreadable_folder_says_which_setting_names_it(
    tmp_path: Path, where: str
) -> None:
    locations = {
        "the working folder": tmp_path / "config.yaml",
        "Landlord's folder": tmp_path / "etc",
        "XDG_CONFIG_HOME": tmp_path / "xdg" / "landlord",
    }
    locations[where].parent.mkdir(exist_ok=True)
    locations[where].symlink_to(locations[where])

    with pytest.raises(SettingsError, match=where) as caught:
        find_file(None, {"XDG_CONFIG_HOME": str(tmp_path / "xdg")})

    assert str(locations[where].parent) in str(caught.value)
    assert "/dev/null" in caught.value.hint


def test_missing_default_files_are_ignored(tmp_path: Path) -> None:
    (tmp_path / "etc").write_text("no folder")

    assert find_file(None, {"XDG_CONFIG_HOME": str(tmp_path / "nowhere")}) is None


def test_the_file_may_be_dev_null_or_a_pipe() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"log: {}")
    os.close(writing)

    assert read_file(find_file(Path("/dev/null"), {}) or Path()) == b""
    assert read_file(find_file(Path(f"/dev/fd/{reading}"), {}) or Path()) == b"log: {}"
    os.close(reading)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read: Is a directory") as caught:
        read_file(tmp_path)

    assert str(tmp_path) in caught.value.message
