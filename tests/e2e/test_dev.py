"""`landlord-host dev` runs everything on one machine and leaves nothing behind."""

import asyncio
import os
import shlex
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import psutil
import pytest

from landlord_engines_core.dev import User
from landlord_test_target.waiting import wait_for

HOST = Path(sys.executable).parent / "landlord-host"


@asynccontextmanager
async def dev(folder: Path, *arguments: str) -> AsyncIterator[Process]:
    """Run `landlord-host dev` with its temporary files in the test's folder."""
    process = await asyncio.create_subprocess_exec(
        HOST,
        "--engine=restate",
        "dev",
        *arguments,
        env={**os.environ, "TMPDIR": str(folder), "LOG_LEVEL": "warn"},
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


def list_processes(folder: Path) -> list[list[str]]:
    """List the processes whose arguments or working directory name the folder."""
    processes = []
    for process in psutil.process_iter(["cmdline", "cwd"]):
        texts = [*(process.info["cmdline"] or ()), process.info["cwd"] or ""]
        if process.pid != os.getpid() and any(str(folder) in part for part in texts):
            processes.append(texts)
    return processes


async def read_hints(process: Process) -> list[str]:
    """Read the lines that `dev` prints once everything is up."""
    assert process.stdout is not None
    lines = []
    async for line in process.stdout:
        lines.append(line.decode().strip())
        if lines[-1].startswith("Ctrl-C"):
            return lines
    raise AssertionError(lines)


@pytest.mark.long
async def test_the_demo_creates_updates_and_deletes_a_tenant_and_leaves_nothing(
    tmp_path: Path,
) -> None:
    async with dev(tmp_path, "--demo") as process:
        output, errors = await process.communicate()

    assert process.returncode == 0, errors.decode()
    titles = [line.split("  ", 2)[-1].partition(":")[0] for line in output.decode().splitlines()]
    assert titles == [
        "create",
        "update",
        "the same update",
        "its process is killed",
        "a bad update",
        "delete",
    ]
    assert list_processes(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


async def test_the_printed_commands_work_and_ctrl_c_ends_the_whole_stack(
    tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    async with dev(tmp_path) as process:
        lines = await read_hints(process)
        create = shlex.split(next(line for line in lines if " POST " in line))
        page = next(line for line in lines if line.endswith("/")).split()[-1]
        async with http.post(create[3], data=create[5]) as response:
            created = await response.json()
        user = User(landlord=create[3].removesuffix("/tenants"), http=http)
        await user.wait_ready(created["id"])
        served = await user.page(page)
        running = list_processes(tmp_path)

        process.send_signal(signal.SIGINT)
        code = await asyncio.wait_for(process.wait(), 60)

    assert code == 0
    assert served[0] == "version one"
    assert running
    assert list_processes(tmp_path) == []
    assert await user.page(page) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGKILL])
async def test_a_hangup_or_a_kill_ends_the_whole_stack(
    tmp_path: Path, number: signal.Signals, http: aiohttp.ClientSession
) -> None:
    async with dev(tmp_path) as process:
        create = shlex.split(next(line for line in await read_hints(process) if " POST " in line))
        async with http.post(create[3], data=create[5]) as response:
            created = await response.json()
        user = User(landlord=create[3].removesuffix("/tenants"), http=http)
        await user.wait_ready(created["id"])
        process.send_signal(number)
        code = await asyncio.wait_for(process.wait(), 60)

    async def is_nothing_left() -> bool:
        return list_processes(tmp_path) == [] and list(tmp_path.iterdir()) == []

    assert code == (0 if number == signal.SIGHUP else -signal.SIGKILL)
    await wait_for(is_nothing_left)


async def test_a_signal_while_the_backend_starts_leaves_nothing(tmp_path: Path) -> None:
    async def is_starting() -> bool:
        return any(
            "restate-server" in part for arguments in list_processes(tmp_path) for part in arguments
        )

    async with dev(tmp_path) as process:
        await wait_for(is_starting)
        process.send_signal(signal.SIGTERM)
        code = await asyncio.wait_for(process.wait(), 60)

    assert code == 0
    assert list_processes(tmp_path) == []
    assert list(tmp_path.iterdir()) == []
