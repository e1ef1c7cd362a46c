"""Starts and stops of a restate-server, which scripts replace."""

import asyncio
import sys
from pathlib import Path

import pytest

from landlord_engines_core.errors import EngineFailed
from landlord_engines_restate.local import server as server_module
from landlord_engines_restate.local.server import RestateServer
from landlord_test_target.programs import content_of, is_running, write_program

# This script answers on the given ports, and ends only on SIGKILL.
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
    servers = [HTTPServer(("127.0.0.1", config[api]["bind-port"]), Healthy) for api in ("ingress", "admin")]
    threading.Thread(target=servers[0].serve_forever, daemon=True).start()
    servers[1].serve_forever()
"""


async def test_a_server_that_ends_at_once_is_reported_with_the_end_of_its_log(
    tmp_path: Path,
) -> None:
    binary = write_program(tmp_path / "bin", "#!/bin/sh\necho early words\necho bad port\nexit 7\n")
    server = RestateServer(binary=binary, folder=tmp_path / "data")

    with pytest.raises(EngineFailed, match="ended with status 7") as caught:
        await server.start()

    assert "bad port" in caught.value.hint
    assert str(server.log) in caught.value.hint


async def test_a_server_that_does_not_answer_in_time_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "START_TIMEOUT", 2)
    binary = write_program(tmp_path / "bin", "#!/bin/sh\necho $$\nexec sleep 60\n")
    server = RestateServer(binary=binary, folder=tmp_path / "data")

    with pytest.raises(EngineFailed, match="no answer in time"):
        await server.start()

    assert not is_running(int(server.log.read_text()))


async def test_a_start_that_is_cancelled_leaves_nothing_running(tmp_path: Path) -> None:
    binary = write_program(tmp_path / "bin", "#!/bin/sh\necho $$\nexec sleep 60\n")
    server = RestateServer(binary=binary, folder=tmp_path / "data")
    starting = asyncio.create_task(server.start())
    pid = int(await content_of(server.log))

    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting

    assert not is_running(pid)


async def test_a_server_that_does_not_end_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "STOP_TIMEOUT", 0.3)
    binary = write_program(tmp_path / "bin", STUBBORN)
    server = RestateServer(binary=binary, folder=tmp_path / "data")
    await server.start()

    await server.stop()

    assert "not yet" in server.log.read_text()


async def test_a_stop_that_is_cancelled_leaves_nothing_running(tmp_path: Path) -> None:
    binary = write_program(tmp_path / "bin", STUBBORN)
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


async def test_stopping_a_stopped_server_succeeds(tmp_path: Path) -> None:
    server = RestateServer(binary=tmp_path / "none", folder=tmp_path)

    await server.stop()
    await server.kill()


async def test_servers_do_not_share_ports(tmp_path: Path) -> None:
    first, second = (RestateServer(binary=tmp_path, folder=tmp_path) for _ in range(2))

    assert len({first.endpoint, first.admin_endpoint, second.endpoint, second.admin_endpoint}) == 4
