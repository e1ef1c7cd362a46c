from pathlib import Path

import pytest

from landlord_engines_core.folders import cache_folder, home_folder, state_folder


def test_the_folders_follow_xdg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    assert state_folder() == tmp_path / "state" / "landlord"
    assert cache_folder() == tmp_path / "cache" / "landlord-engines"


def test_without_xdg_the_folders_are_below_the_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))

    for folder in (state_folder(), cache_folder()):
        assert folder is not None
        assert folder.is_relative_to(tmp_path)
    assert home_folder() == tmp_path


def test_a_user_without_a_home_has_no_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)

    assert (home_folder(), state_folder(), cache_folder()) == (None, None, None)


def test_a_path_with_an_unexpanded_tilde_is_no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platformdirs.user_state_path", lambda _: Path("~/.local/state/landlord"))

    assert state_folder() is None
