"""A killed job ends only after its current work, and no kill leaves a tenant out of service."""

import asyncio
import json
import os
import shutil
import signal
import sys
import threading
from asyncio import create_subprocess_exec
from asyncio.subprocess import PIPE
from pathlib import Path

import attrs
import psutil
import pytest

from landlord_engines_core.compute import in_flight
from landlord_engines_core.compute.process import (
    ProcessCompute,
    folder as tenants_folder,
    observe,
    reconcile,
)
from landlord_engines_core.compute.process.folder import Folder, FolderState, State
from landlord_engines_core.compute.process.health import check_health
from landlord_engines_core.compute.process.reconcile import LONGEST_CARRY
from landlord_engines_core.errors import ComputeUnavailable, ExecutionEnded, Superseded
from landlord_test_target.commands import (
    PYTHON,
    SILENT_SERVER,
    answering_server,
    create_mark,
    find_processes,
    spec,
)
from landlord_test_target.harness import wait_for
from landlord_test_target.process_operations import (
    cancel_update_at,
    crash_update_at,
    provision_first,
    unhealthy_spec,
    update_in_step,
    wait_serves,
)


def only_folder(folder: Path) -> Path:
    (path,) = (path for path in folder.iterdir() if path.name != "ports")
    return path


@pytest.mark.parametrize("point", ["claimed", "ended", "written", "spawned", "begun"])
async def test_a_job_cancelled_at_any_failpoint_of_a_create_starts_nothing_more(
    engine: ProcessCompute, folder: Path, point: str
) -> None:
    tenants_mark = create_mark()

    await cancel_update_at(engine, f"create:{point}", spec(answering_server(tenants_mark)))

    if point not in {"spawned", "begun"}:
        assert find_processes(tenants_mark) == []
    await engine.destroy("t", "")
    assert find_processes(tenants_mark) == []
    assert [path.name for path in folder.rglob("*")] == ["ports"]


@pytest.mark.parametrize("point", ["noted", "claimed", "ended", "written", "spawned", "begun"])
async def test_the_previous_command_serves_after_an_update_is_cancelled_before_its_end(
    engine: ProcessCompute, point: str
) -> None:
    tenants_mark = create_mark()
    first = await provision_first(engine, tenants_mark)

    await cancel_update_at(
        engine, f"update:{point}", spec(answering_server(tenants_mark, status=204))
    )

    await wait_serves(engine, tenants_mark, first)
    younger = spec(answering_server(tenants_mark, status=202))
    await engine.update(younger)
    await wait_serves(engine, tenants_mark, younger)
    await engine.destroy("t", "")
    assert find_processes(tenants_mark) == []


async def test_the_next_command_serves_after_a_cancellation_once_it_was_healthy(
    engine: ProcessCompute, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenants_mark = create_mark()
    await provision_first(engine, tenants_mark)
    next_spec = spec(answering_server(tenants_mark, status=204))
    loop, write = asyncio.get_running_loop(), Folder.write

    def cancel_at(folder: Folder, state: State) -> None:
        write(folder, state)
        if state.last_healthy == state.wanted and state.wanted.config_hash == next_spec.config_hash:
            loop.call_soon_threadsafe(job.cancel)

    monkeypatch.setattr(Folder, "write", cancel_at)
    job = asyncio.create_task(update_in_step(engine, next_spec))
    await asyncio.wait((job,))

    await wait_serves(engine, tenants_mark, next_spec)


@pytest.mark.parametrize("point", ["noted", "claimed", "ended", "written", "spawned", "begun"])
async def test_the_previous_command_serves_after_a_rollback_is_cancelled(
    engine: ProcessCompute, point: str
) -> None:
    tenants_mark = create_mark()
    first = await provision_first(engine, tenants_mark)

    await cancel_update_at(engine, f"rollback:{point}", unhealthy_spec(tenants_mark, within=0.2))

    await wait_serves(engine, tenants_mark, first)


async def test_a_cancelled_job_that_resumed_an_interrupted_update_restores_the_previous_command(
    engine: ProcessCompute, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenants_mark = create_mark()
    first = await provision_first(engine, tenants_mark)
    next_spec = unhealthy_spec(tenants_mark)
    await crash_update_at(engine, "update:begun", next_spec)
    looked = list[str]()

    async def check_and_cancel(*args: object) -> object:
        looked.append("once")
        if len(looked) == 3:
            job.cancel()
        return await check_health(*args)  # type: ignore[arg-type]  # handed on as they are

    monkeypatch.setattr(observe, "check_health", check_and_cancel)
    job = asyncio.create_task(update_in_step(engine, next_spec))
    await asyncio.wait((job,))

    assert job.cancelled()
    await wait_serves(engine, tenants_mark, first)


@pytest.mark.parametrize(("code", "count"), [(SILENT_SERVER, 1), ("0", 0)])
async def test_a_command_that_was_not_healthy_yet_runs_again_after_a_cancellation(
    engine: ProcessCompute, code: str, count: int
) -> None:
    tenants_mark = create_mark()
    await engine.provision(spec(answering_server(tenants_mark) | {"command": [*PYTHON, code]}))

    async def has_expected_processes() -> bool:
        return len(find_processes(tenants_mark)) == count

    await wait_for(has_expected_processes)

    await cancel_update_at(engine, "update:ended", spec(answering_server(tenants_mark, status=204)))

    await wait_for(has_expected_processes)


@pytest.mark.parametrize("fate", ["removed", "another's"])
async def test_a_cancelled_switch_leaves_a_folder_that_meanwhile_has_another_owner(
    engine: ProcessCompute, folder: Path, fate: str
) -> None:
    tenants_mark = create_mark()
    await provision_first(engine, tenants_mark)
    path = only_folder(folder)

    def replace_folder() -> None:
        if fate == "removed":
            shutil.rmtree(path)
        else:
            state = Folder(path).read().state
            assert state is not None
            Folder(path).write(attrs.evolve(state, wanted=attrs.evolve(state.wanted, run="x")))

    next_spec = spec(answering_server(tenants_mark, status=204))
    await cancel_update_at(engine, "update:ended", next_spec, replace_folder)

    assert find_processes(tenants_mark) == []


async def test_an_update_on_a_full_disk_fails_before_it_stops_the_previous_command(
    engine: ProcessCompute, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenants_mark = create_mark()
    first = await provision_first(engine, tenants_mark)
    # The state file exists already, so the update's first write is its own state.
    await engine.provision(first)
    pids = [process.pid for process in find_processes(tenants_mark)]
    with monkeypatch.context() as patched:
        patched.setattr(tenants_folder, "renew_file", lambda _: os.open("/dev/full", os.O_WRONLY))
        with pytest.raises(ComputeUnavailable, match="ENOSPC"):
            await update_in_step(engine, spec(answering_server(tenants_mark, status=204)))

    assert [process.pid for process in find_processes(tenants_mark)] == pids
    await wait_serves(engine, tenants_mark, first)


async def test_a_delete_on_another_worker_waits_for_the_request_of_a_cancelled_job(
    engine: ProcessCompute, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenants_mark = create_mark()
    arrived, released, spawn = threading.Event(), threading.Event(), reconcile.TenantProcess._spawn

    def spawn_when_released(self: reconcile.TenantProcess, lock: int) -> None:
        arrived.set()
        released.wait(30)
        spawn(self, lock)

    monkeypatch.setattr(reconcile.TenantProcess, "_spawn", spawn_when_released)
    monkeypatch.setattr(reconcile, "_LOCK_TIMEOUT", 0.05)
    job = asyncio.create_task(update_in_step(engine, spec(answering_server(tenants_mark))))
    await asyncio.to_thread(arrived.wait, 30)
    job.cancel()

    with pytest.raises(ComputeUnavailable, match="another worker acts on"):
        await engine.destroy("t", "")
    released.set()
    await asyncio.wait((job,))
    await engine.destroy("t", "")

    assert job.cancelled()
    assert find_processes(tenants_mark) == []


@pytest.mark.parametrize("error", [Superseded("a younger job"), ExecutionEnded("it was killed")])
async def test_a_process_that_was_frozen_changes_nothing_for_an_ended_job(
    engine: ProcessCompute, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async def confirm_job() -> None:
        raise error

    tenants_mark = create_mark()
    first = await provision_first(engine, tenants_mark)
    pids = [process.pid for process in find_processes(tenants_mark)]
    monkeypatch.setattr(in_flight, "FRESH", -1.0)

    for next_spec in (
        spec(answering_server(tenants_mark, status=204)),
        spec(answering_server(tenants_mark), "another"),
    ):
        with pytest.raises(type(error)):
            await update_in_step(engine, next_spec, confirm_job)

    assert [process.pid for process in find_processes(tenants_mark)] == pids
    await wait_serves(engine, tenants_mark, first)


async def test_a_younger_job_ends_a_switch_without_a_rollback_and_its_version_serves(
    engine: ProcessCompute, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenants_mark = create_mark()
    await provision_first(engine, tenants_mark)
    lost: list[str] = []

    async def confirm_job() -> None:
        if lost:
            raise Superseded("a younger job")

    def reached(at: str) -> None:
        if at == "update:ended":
            lost.append(at)

    monkeypatch.setattr(in_flight, "FRESH", -1.0)
    elder = spec(answering_server(tenants_mark, status=204))
    with pytest.raises(Superseded):
        await update_in_step(attrs.evolve(engine, reached=reached), elder, confirm_job)
    assert find_processes(tenants_mark) == []

    younger = spec(answering_server(tenants_mark, status=202))
    await update_in_step(engine, younger)
    await wait_serves(engine, tenants_mark, younger)


@pytest.mark.parametrize("point", ["create:claimed", "create:ended"])
async def test_a_worker_frozen_before_its_create_starts_nothing_for_an_ended_job(
    engine: ProcessCompute, folder: Path, point: str
) -> None:
    tenants_mark = create_mark()
    config = json.dumps(answering_server(tenants_mark))
    worker = await create_subprocess_exec(
        *(sys.executable, "-m", "landlord_test_target.frozen_worker", str(folder), point, config),
        stdout=PIPE,
    )

    async def is_stopped() -> bool:
        return psutil.Process(worker.pid).status() == psutil.STATUS_STOPPED

    await wait_for(is_stopped)
    # The test needs a suspension of this length.
    await asyncio.sleep(2.2)
    os.kill(worker.pid, signal.SIGCONT)
    output, _ = await worker.communicate()

    assert output == b"ExecutionEnded\n"
    assert find_processes(tenants_mark) == []
    await engine.destroy("t", "")
    assert [path.name for path in folder.rglob("*")] == ["ports"]


async def test_a_cancellation_during_the_search_for_orphans_releases_the_lock(
    engine: ProcessCompute, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenants_mark = create_mark()
    loop, read = asyncio.get_running_loop(), Folder.read

    def cancel_at(folder: Folder) -> FolderState:
        # The third read of a create is the search for orphans, under the command's lock.
        checks.append("once")
        if len(checks) == 3:
            loop.call_soon_threadsafe(job.cancel)
        return read(folder)

    checks: list[str] = []
    monkeypatch.setattr(Folder, "read", cancel_at)
    job = asyncio.create_task(update_in_step(engine, spec(answering_server(tenants_mark))))
    await asyncio.wait((job,))
    monkeypatch.setattr(Folder, "read", read)

    assert job.cancelled()
    await engine.destroy("t", "")


def test_the_longest_carry_of_a_job_is_known(engine: ProcessCompute) -> None:
    assert engine.longest_carry == LONGEST_CARRY == 110
