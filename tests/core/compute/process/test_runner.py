"""The runner, started as by the engine, and its files in the tenant's folder."""

import asyncio
import os
import shutil
import signal
import sys
from pathlib import Path

import attrs
import psutil
import pytest

from landlord_engines_core.compute import ResourceState
from landlord_engines_core.compute.process import ProcessCompute, runner
from landlord_engines_core.errors import ComputeRefused
from landlord_test_target import crashing_runner
from landlord_test_target.commands import (
    PYTHON,
    answering_server,
    create_mark,
    find_processes,
    spec,
)
from landlord_test_target.compute_engines import process_engine
from landlord_test_target.harness import wait_for


@pytest.fixture
def engine(engine: ProcessCompute) -> ProcessCompute:
    """An engine whose runner is imported as a module, so that coverage measures it."""
    return with_importable_runner(engine)


def with_importable_runner(engine: ProcessCompute) -> ProcessCompute:
    return attrs.evolve(engine, runner=(sys.executable, crashing_runner.__file__, "nowhere", "0"))


def only_folder(folder: Path) -> Path:
    (path,) = (path for path in folder.iterdir() if path.name != "ports")
    return path


async def run_to_end(engine: ProcessCompute, code: str) -> str:
    """Run a tenant's command until it ends, and return how it ended."""
    await engine.provision(spec({"command": [*PYTHON, code]}))

    async def check() -> str:
        observed = await engine.inspect("t", "")
        return observed.detail if observed.state is ResourceState.FAILED else ""

    return await wait_for(check)


async def test_the_output_of_a_command_is_kept(engine: ProcessCompute, folder: Path) -> None:
    await run_to_end(
        engine, "import sys; print('out', flush=True); print('error', file=sys.stderr)"
    )

    assert (only_folder(folder) / "output.log").read_text() == "out\nerror\n"


async def test_output_beyond_the_limit_is_kept_in_one_older_file(folder: Path) -> None:
    engine = with_importable_runner(process_engine({"folder": str(folder), "output_limit": 1000}))

    await run_to_end(engine, "for number in range(1000): print(f'{number:09}')")

    path = only_folder(folder)
    newer, older = (path / name for name in ("output.log", "output.log.1"))
    assert newer.stat().st_size <= 1000
    assert older.stat().st_size <= 1000
    assert (older.read_text() + newer.read_text()).endswith("000000998\n000000999\n")
    assert not (path / "output.log.2").exists()


async def test_a_full_disk_does_not_stop_a_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "open_file", lambda *_: os.open("/dev/full", os.O_WRONLY))
    output = runner.Output(tmp_path / "output.log", 1000)

    output.write(b"does not fit")


async def test_output_is_kept_again_once_its_file_can_be_opened(tmp_path: Path) -> None:
    path = tmp_path / "not yet" / "output.log"
    output = runner.Output(path, 10)
    output.write(b"lost")

    path.parent.mkdir()
    output.write(b"kept")
    path.with_name("output.log.1").mkdir()
    output.write(b"in the way")
    path.with_name("output.log.1").rmdir()
    output.write(b"later")

    assert path.read_bytes() == b"keptlater"


async def test_the_runner_repeats_a_failed_write_of_its_state(
    engine: ProcessCompute, folder: Path
) -> None:
    tenants_mark = create_mark()
    await engine.provision(spec(answering_server(tenants_mark)))
    path = only_folder(folder)

    def reached(point: str) -> None:
        if point == "update:written":
            # This simulates a full disk for this file alone.
            (path / "note.json.new").mkdir()

    engine = attrs.evolve(engine, reached=reached)
    update = asyncio.create_task(engine.update(spec(answering_server(tenants_mark, status=204))))

    async def has_started() -> bool:
        processes = find_processes(tenants_mark)
        return len(processes) == 1 and processes[0].environ()["STATUS"] == "204"

    await wait_for(has_started)
    (path / "note.json.new").rmdir()
    await update

    assert (await engine.inspect("t", "")).state is ResourceState.HEALTHY


async def test_a_command_that_closes_its_output_keeps_running(engine: ProcessCompute) -> None:
    code = "import os, time; os.close(1); os.close(2); time.sleep(1.2); os._exit(5)"

    assert await run_to_end(engine, code) == "the command ended with exit code 5"


async def test_a_command_has_an_empty_standard_input(engine: ProcessCompute) -> None:
    code = "import sys; sys.exit(len(sys.stdin.read()))"

    assert await run_to_end(engine, code) == "the command ended with exit code 0"


async def test_a_command_works_in_a_folder_of_its_own(
    engine: ProcessCompute, folder: Path, tmp_path: Path
) -> None:
    await run_to_end(engine, "open('here', 'w').close()")

    assert (only_folder(folder) / "work" / "here").exists()

    command = [*PYTHON, "open('there', 'w').close()"]
    await engine.update(spec({"command": command, "working_folder": str(tmp_path)}))

    async def check() -> bool:
        return (tmp_path / "there").exists()

    assert await wait_for(check)


async def test_a_signal_to_the_runner_ends_the_command_first(engine: ProcessCompute) -> None:
    code = "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(4)); time.sleep(1000)"
    await engine.provision(spec({"command": [*PYTHON, code]}))

    async def wait_pid() -> str:
        observed = await engine.inspect("t", "")
        return observed.resource_ids["pid"] if observed.state is ResourceState.HEALTHY else ""

    pid = int(await wait_for(wait_pid))
    os.kill(psutil.Process(pid).ppid(), signal.SIGTERM)

    async def check() -> str:
        return (await engine.inspect("t", "")).detail

    assert await wait_for(check) == "the command ended with exit code 4"


async def test_the_runner_leaves_the_workers_session(engine: ProcessCompute) -> None:
    await engine.provision(spec(answering_server(create_mark())))
    pid = int((await engine.inspect("t", "")).resource_ids["pid"])

    assert os.getsid(pid) == pid
    assert os.getsid(psutil.Process(pid).ppid()) != os.getsid(0)


async def test_a_command_that_cannot_be_started_is_recorded(engine: ProcessCompute) -> None:
    with pytest.raises(ComputeRefused, match="cannot be started: ENOENT"):
        await engine.provision(spec({"command": ["/no/such/program"]}))


async def test_a_command_that_does_not_end_in_its_time_is_killed(engine: ProcessCompute) -> None:
    tenants_mark = create_mark()
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(99)"
    env = {"TENANT_MARK": tenants_mark}
    await engine.provision(spec({"command": [*PYTHON, code], "env": env, "stop_timeout": 0.3}))

    async def check() -> bool:
        return (await engine.inspect("t", "")).state is ResourceState.HEALTHY

    await wait_for(check)
    await engine.destroy("t", "")

    assert find_processes(tenants_mark) == []


async def test_the_rest_of_a_process_group_is_ended_with_its_leader(engine: ProcessCompute) -> None:
    tenants_mark = create_mark()
    code = (
        "import os, signal, time; signal.signal(15, signal.SIG_IGN); "
        "os.fork() and os._exit(3); time.sleep(1000)"
    )
    env = {"TENANT_MARK": tenants_mark}
    await engine.provision(spec({"command": [*PYTHON, code], "env": env, "stop_timeout": 0.3}))

    async def check() -> str:
        observed = await engine.inspect("t", "")
        return observed.detail if observed.state is ResourceState.FAILED else ""

    assert await wait_for(check) == "the command ended with exit code 3"
    assert find_processes(tenants_mark) == []


async def test_a_command_whose_folder_was_removed_is_ended(
    engine: ProcessCompute, folder: Path
) -> None:
    tenants_mark = create_mark()
    await engine.provision(spec(answering_server(tenants_mark)))
    shutil.rmtree(only_folder(folder))

    async def check() -> bool:
        return not find_processes(tenants_mark)

    await wait_for(check)
