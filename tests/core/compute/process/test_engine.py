import asyncio
import errno
import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import attrs
import psutil
import pytest

from landlord_engines_core.compute import (
    ComputeRegistry,
    ComputeSpec,
    Observation,
    ResourceState,
)
from landlord_engines_core.compute.process import (
    ProcessCompute,
    reconcile,
    removal,
    termination,
)
from landlord_engines_core.errors import ComputeRefused, ComputeUnavailable
from landlord_test_target.commands import (
    PYTHON,
    SILENT_SERVER,
    answering_server,
    create_mark,
    find_processes,
    spec,
)
from landlord_test_target.compute_engines import process_engine
from landlord_test_target.harness import free_port, wait_for
from landlord_test_target.in_memory import InMemorySteps, RecordingLogger, build_tenant_jobs

IGNORES_SIGTERM = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(1000)"
)

HOSTILE = [
    "../../../etc/passwd",
    "/etc/passwd",
    "a\nb\r\n",
    "a\0b",
    "; rm -rf ~",
    "$(reboot)",
    "😀" * 512,
    "\ud800",
    ".",
    "",
    "ports",
]


async def wait_state(
    engine: ProcessCompute, *states: ResourceState, name: str = "t"
) -> Observation:
    """Wait for one of these states, and return the observation."""

    async def check() -> Observation | None:
        observed = await engine.inspect(name, "")
        return observed if observed.state in states else None

    observation = await wait_for(check)
    assert observation is not None
    return observation


async def provision_healthy(
    engine: ProcessCompute, config: dict[str, object], name: str = "t"
) -> int:
    """Provision a tenant, wait until it is healthy, and return its process id."""
    await engine.provision(spec(config, name))
    observed = await wait_state(engine, ResourceState.HEALTHY, name=name)
    return int(observed.resource_ids["pid"])


def quiet_command(tenants_mark: str, code: str, **more: object) -> dict[str, object]:
    """The configuration of a tenant without a health check."""
    return {"command": [*PYTHON, code], "env": {"TENANT_MARK": tenants_mark}, **more}


def runner_of(pid: int) -> int:
    parent = psutil.Process(pid).ppid()
    assert "runner.py" in " ".join(psutil.Process(parent).cmdline())
    return parent


def only_folder(folder: Path) -> Path:
    (path,) = (path for path in folder.iterdir() if path.name != "ports")
    return path


async def wait_process_ended(pid: int) -> None:
    async def check() -> bool:
        return not psutil.pid_exists(pid)

    await wait_for(check)


async def test_a_tenant_is_created_updated_and_deleted(
    engine: ProcessCompute, folder: Path
) -> None:
    tenants_mark = create_mark()

    result = await engine.provision(spec(answering_server(tenants_mark)))
    first = await wait_state(engine, ResourceState.HEALTHY)
    changed = await engine.update(spec(answering_server(tenants_mark, status=204)))
    second = await engine.inspect("t", "")
    existed = await engine.destroy("t", "")

    assert result.resource_ids == first.resource_ids
    assert changed.resource_ids == second.resource_ids
    assert changed.rolled_back == ""
    assert first.config_hash == spec(answering_server(tenants_mark)).config_hash
    assert second.config_hash == spec(answering_server(tenants_mark, status=204)).config_hash
    assert second.state is ResourceState.HEALTHY
    assert existed
    assert find_processes(tenants_mark) == []
    assert [path.name for path in folder.rglob("*")] == ["ports"]


async def test_a_lock_file_that_a_waiting_worker_recreates_during_a_delete_is_removed_too(
    engine: ProcessCompute, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.provision(spec({"command": ["/bin/sleep", "1000"]}))
    (tenant,) = (path for path in folder.iterdir() if path.name != "ports")
    empty, waiting = removal._empty_folder, [tenant / "act.lock"]

    def empty_while_another_waits(top: Any) -> None:
        empty(top)
        while waiting:
            waiting.pop().touch()

    monkeypatch.setattr(removal, "_empty_folder", empty_while_another_waits)

    assert await engine.destroy("t", "")
    assert not tenant.exists()
    assert not await engine.destroy("t", "")


async def test_a_delete_on_a_disk_with_errors_is_tried_again(
    engine: ProcessCompute, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.provision(spec({"command": ["/bin/sleep", "1000"]}))

    def fail(_: Any) -> None:
        raise OSError(errno.EIO, "a broken disk")

    with monkeypatch.context() as patch:
        patch.setattr(removal, "_empty_folder", fail)
        with pytest.raises(ComputeUnavailable, match="EIO"):
            await engine.destroy("t", "")

    assert await engine.destroy("t", "")
    assert [path.name for path in folder.rglob("*")] == ["ports"]


async def test_a_rollback_and_a_delete_leave_no_processes_and_files(
    engine: ProcessCompute, folder: Path
) -> None:
    tenants_mark, port = create_mark(), free_port()
    await provision_healthy(engine, answering_server(tenants_mark))
    before = sorted(path.name for path in folder.rglob("*"))

    unhealthy = quiet_command(
        tenants_mark, SILENT_SERVER, port=port, health={"http": "/", "within": 0.2}
    )
    assert (await engine.update(spec(unhealthy))).rolled_back

    assert sorted(path.name for path in folder.rglob("*")) == before
    await engine.destroy("t", "")
    assert [path.name for path in folder.rglob("*")] == ["ports"]


async def test_a_delete_removes_the_leftovers_of_a_refused_create(
    engine: ProcessCompute, folder: Path
) -> None:
    tenants_mark, port = create_mark(), free_port()
    await provision_healthy(engine, answering_server(tenants_mark, port=port), "other")
    with pytest.raises(ComputeRefused, match="belongs to another tenant"):
        await engine.provision(spec(answering_server(tenants_mark, port=port)))

    assert not await engine.destroy("t", "")

    assert only_folder(folder).is_dir()
    assert (await engine.inspect("other", "")).state is ResourceState.HEALTHY


async def test_a_tenant_without_a_process_is_missing_and_its_delete_succeeds(
    engine: ProcessCompute, folder: Path
) -> None:
    observed = await engine.inspect("t", "")

    assert observed.state is ResourceState.MISSING
    assert not await engine.destroy("t", "")
    assert not folder.exists()
    await engine.aclose()


async def test_another_worker_finds_and_adopts_the_process(engine: ProcessCompute) -> None:
    tenants_mark = create_mark()
    config = answering_server(tenants_mark)
    pid = await provision_healthy(engine, config)

    other = process_engine({"folder": engine.settings.folder})
    results = [await other.provision(spec(config)) for _ in range(2)]

    assert [result.resource_ids["pid"] for result in results] == [str(pid)] * 2
    assert len(find_processes(tenants_mark)) == 1


async def test_two_workers_at_once_start_one_process(engine: ProcessCompute) -> None:
    tenants_mark = create_mark()
    config = answering_server(tenants_mark)
    workers = [process_engine({"folder": engine.settings.folder}) for _ in range(5)]

    results = await asyncio.gather(
        *(worker.provision(spec(config)) for worker in workers), return_exceptions=True
    )
    await wait_state(engine, ResourceState.HEALTHY)

    # On a busy machine a worker may give up its wait for the tenant's lock.
    failed = [result for result in results if isinstance(result, Exception)]
    assert all(isinstance(error, ComputeUnavailable) for error in failed)
    assert len(failed) < len(workers)
    assert len(find_processes(tenants_mark)) == 1


async def test_a_worker_retries_later_while_another_worker_acts_on_the_tenant(
    engine: ProcessCompute, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "_LOCK_TIMEOUT", 0.1)
    tenants_mark = create_mark()
    await provision_healthy(engine, answering_server(tenants_mark))
    unhealthy = spec(quiet_command(tenants_mark, SILENT_SERVER, health={"http": "/", "within": 1}))
    spawned = asyncio.Event()

    def reached(point: str) -> None:
        if point == "update:spawned":
            spawned.set()

    update_task = asyncio.ensure_future(attrs.evolve(engine, reached=reached).update(unhealthy))
    await spawned.wait()

    with pytest.raises(ComputeUnavailable, match="another worker acts on"):
        await engine.destroy("t", "")

    assert (await update_task).rolled_back


async def test_an_update_that_never_becomes_healthy_is_rolled_back(engine: ProcessCompute) -> None:
    tenants_mark = create_mark()
    before = answering_server(tenants_mark)
    await provision_healthy(engine, before)
    port = (await engine.inspect("t", "")).resource_ids["port"]

    result = await engine.update(
        spec(quiet_command(tenants_mark, SILENT_SERVER, health={"http": "/", "within": 0.2}))
    )

    observed = await engine.inspect("t", "")
    assert result.rolled_back == "the command does not pass its health check"
    assert observed.state is ResourceState.HEALTHY
    assert observed.config_hash == spec(before).config_hash
    assert observed.resource_ids["port"] == port
    assert len(find_processes(tenants_mark)) == 1


async def test_an_update_without_a_check_has_to_run_for_a_moment(engine: ProcessCompute) -> None:
    tenants_mark = create_mark()
    await provision_healthy(engine, answering_server(tenants_mark))

    result = await engine.update(spec(quiet_command(tenants_mark, "import time; time.sleep(1000)")))

    assert result.rolled_back == ""
    assert (await engine.inspect("t", "")).state is ResourceState.HEALTHY
    assert len(find_processes(tenants_mark)) == 1


async def test_an_update_that_cannot_be_started_is_rolled_back(engine: ProcessCompute) -> None:
    tenants_mark = create_mark()
    await provision_healthy(engine, answering_server(tenants_mark))

    result = await engine.update(spec({"command": ["/no/such/secret-program"]}))

    assert result.rolled_back == "the command cannot be started: ENOENT"
    assert (await engine.inspect("t", "")).state is ResourceState.HEALTHY


async def test_an_update_is_retried_if_the_previous_command_does_not_serve_either(
    engine: ProcessCompute, tmp_path: Path
) -> None:
    once = tmp_path / "once"
    code = f"import os, time; os.mkdir({str(once)!r}); time.sleep(1000)"
    before = quiet_command(create_mark(), code)
    await provision_healthy(engine, before)

    ready = tmp_path / "ready"
    code = f"import os, sys, time; os.path.exists({str(ready)!r}) or sys.exit(3); time.sleep(1000)"
    later = spec(quiet_command(create_mark(), code))

    with pytest.raises(ComputeUnavailable, match="neither the new nor the previous configuration"):
        await engine.update(later)
    observed = await engine.inspect("t", "")
    ready.touch()
    again = await engine.update(later)

    assert observed.state is ResourceState.FAILED
    assert observed.config_hash == spec(before).config_hash
    assert again.rolled_back == ""
    assert (await engine.inspect("t", "")).config_hash == later.config_hash


def read_state(folder: Path) -> dict[str, object]:
    state: dict[str, object] = json.loads((only_folder(folder) / "state.json").read_text())
    return state


async def interrupt_update(engine: ProcessCompute, point: str, target: ComputeSpec) -> None:
    """Update, and cancel the attempt at this failpoint, as a step's timeout does."""

    def reached(name: str) -> None:
        if name == point:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asyncio.ensure_future(attrs.evolve(engine, reached=reached).update(target))


@pytest.mark.parametrize("point", ["noted", "claimed", "ended", "written", "spawned", "begun"])
async def test_the_next_attempt_completes_an_interrupted_rollback(
    engine: ProcessCompute, point: str
) -> None:
    tenants_mark = create_mark()
    before = answering_server(tenants_mark)
    await provision_healthy(engine, before)
    unhealthy = spec(
        quiet_command(tenants_mark, SILENT_SERVER, health={"http": "/", "within": 0.2})
    )
    points: list[str] = []

    await interrupt_update(engine, f"rollback:{point}", unhealthy)
    result = await attrs.evolve(engine, reached=points.append).update(unhealthy)

    assert result.rolled_back == "the command does not pass its health check"
    assert not any(name.startswith("update:") for name in points)
    observed = await engine.inspect("t", "")
    assert observed.state is ResourceState.HEALTHY
    assert observed.config_hash == spec(before).config_hash
    assert len(find_processes(tenants_mark)) == 1


async def test_another_configuration_replaces_an_interrupted_rollback(
    engine: ProcessCompute, folder: Path
) -> None:
    await provision_healthy(engine, answering_server(create_mark()))
    unhealthy = spec(
        quiet_command(create_mark(), SILENT_SERVER, health={"http": "/", "within": 0.2})
    )
    later = spec(answering_server(create_mark()))

    await interrupt_update(engine, "rollback:noted", unhealthy)
    result = await engine.update(later)

    assert result.rolled_back == ""
    assert (await engine.inspect("t", "")).config_hash == later.config_hash
    assert read_state(folder)["refused"] is None


async def test_applying_the_previous_configuration_clears_the_recorded_rollback(
    engine: ProcessCompute, folder: Path
) -> None:
    before = answering_server(create_mark())
    await provision_healthy(engine, before)
    state = {**read_state(folder), "refused": {"config_hash": "other", "reason": "it was deaf"}}
    (only_folder(folder) / "state.json").write_text(json.dumps(state))

    await engine.update(spec(before))

    assert read_state(folder)["refused"] is None


async def test_a_later_job_retries_a_configuration_that_was_rolled_back(
    engine: ProcessCompute, tmp_path: Path
) -> None:
    ready = tmp_path / "ready"
    before = spec(answering_server(create_mark()))
    await provision_healthy(engine, answering_server(create_mark()))
    await engine.update(before)
    code = f"import os, sys, time; os.path.exists({str(ready)!r}) or sys.exit(3); time.sleep(1000)"
    later = spec(quiet_command(create_mark(), code))

    first = await engine.update(later)
    ready.touch()
    second = await engine.update(later)

    reasons = [result.rolled_back for result in (first, second)]
    assert reasons == ["the command ended with exit code 3", ""]
    assert (await engine.inspect("t", "")).config_hash == later.config_hash


async def test_a_command_that_never_served_is_replaced_without_a_rollback(
    engine: ProcessCompute,
) -> None:
    tenants_mark = create_mark()
    await engine.provision(spec({"command": ["/bin/false"]}))
    await wait_state(engine, ResourceState.FAILED)

    result = await engine.update(spec(answering_server(tenants_mark)))

    assert result.rolled_back == ""
    assert (await wait_state(engine, ResourceState.HEALTHY)).config_hash
    assert len(find_processes(tenants_mark)) == 1


@pytest.mark.parametrize(
    ("command", "working_folder", "problem"),
    [
        (["/no/such/secret-program"], None, "ENOENT"),
        (["/etc/passwd"], None, "EACCES"),
        (["/bin/true", "x" * 200_000], None, "E2BIG"),
        (["/bin/true"], "/no/such/secret-folder", "ENOENT"),
    ],
)
async def test_a_command_that_cannot_be_started_is_refused_without_its_name(
    engine: ProcessCompute, command: list[str], working_folder: str | None, problem: str
) -> None:
    named = {"working_folder": working_folder} if working_folder else {}

    with pytest.raises(ComputeRefused) as caught:
        await engine.provision(spec({"command": command, **named}))

    assert f"cannot be started: {problem}" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("command", "detail"),
    [
        (["/bin/true"], "the command ended with exit code 0"),
        (["/bin/sh", "-c", "exit 7"], "the command ended with exit code 7"),
        (["/bin/sh", "-c", "kill -9 $$"], "the command ended with signal 9"),
    ],
)
async def test_a_command_that_ended_has_failed_and_its_exit_is_reported(
    engine: ProcessCompute, command: list[str], detail: str
) -> None:
    await engine.provision(spec({"command": command}))

    assert (await wait_state(engine, ResourceState.FAILED)).detail == detail


async def test_a_command_that_crashed_is_repaired_by_the_next_apply_and_keeps_its_port(
    engine: ProcessCompute,
) -> None:
    tenants_mark = create_mark()
    config = answering_server(tenants_mark)
    pid = await provision_healthy(engine, config)
    port = (await engine.inspect("t", "")).resource_ids["port"]
    os.kill(pid, signal.SIGKILL)
    await wait_state(engine, ResourceState.FAILED)

    await engine.update(spec(config))

    observed = await wait_state(engine, ResourceState.HEALTHY)
    assert observed.resource_ids["port"] == port
    assert len(find_processes(tenants_mark)) == 1


async def test_a_command_whose_runner_was_killed_has_failed_and_is_replaced(
    engine: ProcessCompute,
) -> None:
    tenants_mark = create_mark()
    config = answering_server(tenants_mark)
    pid = await provision_healthy(engine, config)
    os.kill(runner_of(pid), signal.SIGKILL)

    observed = await wait_state(engine, ResourceState.FAILED)
    left = find_processes(tenants_mark)
    await engine.update(spec(config))

    assert observed.detail == "the command or its runner was killed from outside"
    assert [process.pid for process in left] == [pid]
    assert (await wait_state(engine, ResourceState.HEALTHY)).resource_ids["pid"] != str(pid)
    assert len(find_processes(tenants_mark)) == 1


async def test_a_process_group_that_does_not_end_by_itself_is_killed(
    engine: ProcessCompute,
) -> None:
    tenants_mark = create_mark()
    code = f"import os; os.fork(); os.fork(); {IGNORES_SIGTERM}"
    await provision_healthy(engine, quiet_command(tenants_mark, code, stop_timeout=0.2))
    assert len(find_processes(tenants_mark)) == 4

    await engine.destroy("t", "")

    assert find_processes(tenants_mark) == []


async def test_a_process_group_is_ended_after_its_leader_ended(engine: ProcessCompute) -> None:
    tenants_mark = create_mark()
    code = f"import os, sys; os.fork() and sys.exit(3); {IGNORES_SIGTERM}"

    await engine.provision(spec(quiet_command(tenants_mark, code, stop_timeout=0.2)))

    assert (await wait_state(engine, ResourceState.FAILED)).detail.endswith("exit code 3")

    async def none() -> bool:
        return not find_processes(tenants_mark)

    await wait_for(none)


async def test_the_rest_of_a_process_group_gets_the_stop_timeout_too(
    engine: ProcessCompute, tmp_path: Path
) -> None:
    output = tmp_path / "output"
    slow = (
        f"signal.signal(15, lambda *_: (time.sleep(0.5), open({str(output)!r}, 'x'), sys.exit()))"
    )
    code = f"import os, signal, sys, time; os.fork() or {slow}; time.sleep(1000)"
    await provision_healthy(engine, quiet_command(create_mark(), code))

    await engine.destroy("t", "")

    assert output.exists()


async def test_a_command_without_its_runner_that_ignores_sigterm_is_killed(
    engine: ProcessCompute, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(termination, "_GRACE", 0.5)
    tenants_mark = create_mark()
    code = f"import os; os.fork(); {IGNORES_SIGTERM}"
    pid = await provision_healthy(engine, quiet_command(tenants_mark, code, stop_timeout=0))
    os.kill(runner_of(pid), signal.SIGKILL)

    assert await engine.destroy("t", "")

    assert find_processes(tenants_mark) == []


async def test_a_frozen_runner_is_killed(
    engine: ProcessCompute, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(termination, "_GRACE", 0.5)
    tenants_mark = create_mark()
    pid = await provision_healthy(engine, {**answering_server(tenants_mark), "stop_timeout": 0})
    os.kill(runner_of(pid), signal.SIGSTOP)

    assert await engine.destroy("t", "")

    assert find_processes(tenants_mark) == []


async def test_a_command_that_went_into_the_background_is_found_and_ended(
    engine: ProcessCompute,
) -> None:
    tenants_mark = create_mark()
    code = (
        "import os, time; ready, done = os.pipe(); os.fork() and os.read(ready, 1) and os._exit(0); "
        "os.setsid(); os.write(done, b'1'); time.sleep(1000)"
    )
    await engine.provision(spec(quiet_command(tenants_mark, code)))
    await wait_state(engine, ResourceState.FAILED)
    assert len(find_processes(tenants_mark)) == 1

    await engine.destroy("t", "")

    assert find_processes(tenants_mark) == []


async def test_a_child_without_the_lock_is_ended_too_after_its_runner_was_killed(
    engine: ProcessCompute,
) -> None:
    tenants_mark = create_mark()
    code = "import os, time; os.fork() or os.closerange(0, 100); time.sleep(1000)"
    pid = await provision_healthy(engine, quiet_command(tenants_mark, code))
    os.kill(runner_of(pid), signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)
    await wait_process_ended(pid)
    assert len(find_processes(tenants_mark)) == 1

    await engine.destroy("t", "")

    assert find_processes(tenants_mark) == []


async def test_a_process_that_cannot_be_found_is_reported_and_not_ignored(
    engine: ProcessCompute, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(termination, "_GRACE", 0.1)
    await engine.provision(spec({"command": ["/bin/false"], "stop_timeout": 0}))
    await wait_state(engine, ResourceState.FAILED)
    lock_holder = subprocess.Popen(
        [*PYTHON, LOCK_HOLDER, str(only_folder(folder) / "command.lock")],
        stdout=subprocess.PIPE,
    )
    with lock_holder:
        assert lock_holder.stdout is not None
        lock_holder.stdout.readline()

        with pytest.raises(ComputeUnavailable, match="does not end, or cannot be found"):
            await engine.destroy("t", "")

        lock_holder.kill()


LOCK_HOLDER = """
import fcntl, sys, time
lock = open(sys.argv[1], "w")
fcntl.flock(lock, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(1000)
"""


async def test_a_process_that_reused_the_pid_of_a_tenants_process_is_left_alone(
    engine: ProcessCompute, folder: Path
) -> None:
    config = quiet_command(create_mark(), "import time; time.sleep(1000)")
    pid = await provision_healthy(engine, config)
    os.kill(runner_of(pid), signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)
    await wait_process_ended(pid)
    with subprocess.Popen(["/bin/sleep", "1000"], start_new_session=True) as unrelated:
        path = only_folder(folder) / "note.json"
        note = json.loads(path.read_text())
        stale = {"pid": unrelated.pid, "child": unrelated.pid, "started": time.time() - 1000}
        path.write_text(json.dumps({**note, **stale}))

        observed = await engine.inspect("t", "")
        await engine.update(spec(config))
        await engine.destroy("t", "")

        assert observed.state is ResourceState.FAILED
        assert unrelated.poll() is None
        unrelated.kill()


async def test_a_command_whose_folder_was_deleted_ends(
    engine: ProcessCompute, folder: Path
) -> None:
    tenants_mark = create_mark()
    pid = await provision_healthy(engine, answering_server(tenants_mark))
    subprocess.run(["rm", "-rf", str(only_folder(folder))], check=True)

    assert (await engine.inspect("t", "")).state is ResourceState.MISSING
    await wait_process_ended(pid)


async def test_an_unreadable_state_file_counts_as_missing(
    engine: ProcessCompute, folder: Path
) -> None:
    tenants_mark = create_mark()
    await provision_healthy(engine, answering_server(tenants_mark))
    (only_folder(folder) / "state.json").write_text("{")

    assert (await engine.inspect("t", "")).state is ResourceState.MISSING
    await provision_healthy(engine, answering_server(tenants_mark))

    assert len(find_processes(tenants_mark)) == 1


async def test_an_unusable_folder_is_reported_without_the_paths_below_it(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "tenants"
    engine = process_engine({"folder": str(folder)})

    with pytest.raises(ComputeUnavailable, match="cannot be used: ENOTDIR") as caught:
        await engine.provision(spec({"command": ["/bin/true"]}))

    assert f"{folder} cannot" in caught.value.message
    assert "compute.process.folder" in caught.value.hint


async def test_a_folder_deleted_during_an_operation_makes_the_tenant_missing(
    engine: ProcessCompute, folder: Path
) -> None:
    def delete(point: str) -> None:
        if point == "create:begun":
            # The runner may be writing into the folder. A rename is atomic, a removal is not.
            only_folder(folder).rename(folder.parent / "deleted")

    result = await attrs.evolve(engine, reached=delete).provision(
        spec(answering_server(create_mark()))
    )

    assert result.resource_ids == {}
    assert (await engine.inspect("t", "")).state is ResourceState.MISSING


async def test_a_folder_that_vanishes_during_a_delete_is_inspected_again(
    engine: ProcessCompute, folder: Path
) -> None:
    pid = await provision_healthy(engine, answering_server(create_mark()))

    def reached(point: str) -> None:
        if point == "destroy:begun":
            only_folder(folder).rename(folder / "elsewhere")

    with pytest.raises(ComputeUnavailable, match="cannot be used: ENOENT"):
        await attrs.evolve(engine, reached=reached).destroy("t", "")

    await wait_process_ended(pid)
    assert not await engine.destroy("t", "")


async def test_a_runner_that_fails_is_retried(engine: ProcessCompute) -> None:
    broken = attrs.evolve(engine, runner=("/bin/false",))

    with pytest.raises(ComputeUnavailable, match="ended before it started the command"):
        await broken.provision(spec({"command": ["/bin/true"]}))


async def test_the_wait_for_a_runner_that_does_not_start_is_limited(
    engine: ProcessCompute, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "_START_TIMEOUT", 0.1)
    monkeypatch.setattr(termination, "_GRACE", 2.0)
    runner_without_command = """
import fcntl, os, sys, time
lock = open(os.path.join(sys.argv[1], "runner.lock"), "w")
fcntl.flock(lock, fcntl.LOCK_EX)
os.set_inheritable(lock.fileno(), True)
os.fork() and os._exit(0)
os.environ["LANDLORD_PROCESS_FOLDER"] = sys.argv[1]
os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(1000)"])
"""
    slow = attrs.evolve(engine, runner=(sys.executable, "-c", runner_without_command))

    with pytest.raises(ComputeUnavailable, match=r"did not start the command within 0\.1 s"):
        await slow.provision(spec({"command": ["/bin/true"]}))

    assert (await engine.inspect("t", "")).state is ResourceState.STARTING
    assert await engine.destroy("t", "")


async def test_a_tenant_gets_the_port_that_it_names(engine: ProcessCompute) -> None:
    port = free_port()

    await provision_healthy(engine, answering_server(create_mark(), port=port))

    assert (await engine.inspect("t", "")).resource_ids["port"] == str(port)


async def test_a_named_port_is_kept_by_one_update_and_released_by_the_next(
    engine: ProcessCompute, folder: Path
) -> None:
    port = free_port()
    await provision_healthy(engine, answering_server(create_mark(), port=port))

    await engine.update(spec(answering_server(create_mark(), port=port, status=204)))
    with pytest.raises(ComputeRefused, match=r"\$\.port belongs to another tenant"):
        await engine.provision(spec(answering_server(create_mark(), port=port), "other"))
    result = await engine.update(spec(answering_server(create_mark(), status=204)))

    chosen = result.resource_ids["port"]
    assert chosen != str(port)
    assert [path.name for path in (folder / "ports").iterdir()] == [chosen]
    await provision_healthy(engine, answering_server(create_mark(), port=port), "other")


async def test_a_rollback_of_an_update_with_a_named_port_restores_the_chosen_port(
    engine: ProcessCompute, folder: Path
) -> None:
    await provision_healthy(engine, answering_server(create_mark()))
    before = (await engine.inspect("t", "")).resource_ids["port"]

    result = await engine.update(spec({"command": ["/bin/false"], "port": free_port()}))

    assert result.rolled_back
    assert result.resource_ids["port"] == before
    assert [path.name for path in (folder / "ports").iterdir()] == [before]


async def test_the_port_is_inserted_into_the_command_and_the_environment(
    engine: ProcessCompute, tmp_path: Path
) -> None:
    output = tmp_path / "output"
    command = ["/bin/sh", "-c", f'echo "$0 $PORT" > {output}; exec sleep 1000', "on-{port}"]

    await provision_healthy(engine, {"command": command})

    port = (await engine.inspect("t", "")).resource_ids["port"]
    assert output.read_text() == f"on-{port} {port}\n"


async def test_a_command_without_a_check_is_healthy_once_it_has_run_for_a_moment(
    engine: ProcessCompute,
) -> None:
    await engine.provision(spec({"command": ["/bin/sleep", "1000"]}))

    assert (await engine.inspect("t", "")).state is ResourceState.STARTING
    await wait_state(engine, ResourceState.HEALTHY)


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_tenants_id_may_hold_any_characters(
    engine: ProcessCompute, folder: Path, name: str
) -> None:
    tenants_mark = create_mark()
    await provision_healthy(engine, answering_server(tenants_mark), name)

    inside = {path.name for path in folder.parent.iterdir()}
    existed = await engine.destroy(name, "")

    assert inside == {folder.name}
    assert existed
    assert find_processes(tenants_mark) == []


async def test_values_of_a_configuration_reach_the_command_as_they_are(
    engine: ProcessCompute,
) -> None:
    tenants_mark = create_mark()
    hostile = "a\nb; $(reboot) '\"\\ {port} \t😀"
    env = {"TENANT_MARK": tenants_mark, "HOSTILE": hostile, "A B": hostile}
    code = "import time; time.sleep(1000)"
    pid = await provision_healthy(engine, {"command": [*PYTHON, code, hostile], "env": env})

    process = psutil.Process(pid)

    port = (await engine.inspect("t", "")).resource_ids["port"]
    assert process.cmdline()[-1] == hostile.replace("{port}", port)
    assert process.environ()["HOSTILE"] == hostile
    assert process.environ()["A B"] == hostile


async def test_a_command_gets_no_environment_variable_of_the_worker(
    engine: ProcessCompute, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKERS_SECRET", "hush")
    pid = await provision_healthy(engine, answering_server(create_mark()))

    environ = psutil.Process(pid).environ()

    assert set(environ) - {"LC_CTYPE"} == {
        "PATH",
        "PORT",
        "STATUS",
        "TENANT_MARK",
        "LANDLORD_PROCESS_FOLDER",
    }


async def test_secrets_are_in_the_tenants_own_files_and_nowhere_else(
    engine: ProcessCompute, folder: Path
) -> None:
    secret = "canary-31337"
    logger = RecordingLogger()
    config = answering_server(create_mark())
    config["env"] = {"STATUS": "200", "SECRET": secret}
    tenants = build_tenant_jobs(("process", engine), logger=logger, health_timeout=20.0)
    body = {"tenant_uuid": "t", "operation": "provision", "desired_config": config}
    answer = await tenants.run(json.dumps(body).encode(), InMemorySteps())
    pid = int((await engine.inspect("t", "")).resource_ids["pid"])
    runner = psutil.Process(runner_of(pid))

    holding = {path for path in folder.rglob("*.*") if secret in path.read_text()}

    assert {path.name for path in holding} == {"state.json"}
    assert stat.S_IMODE(only_folder(folder).stat().st_mode) == 0o700
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in folder.rglob("*.*"))
    assert secret not in f"{answer} {logger.lines} {engine} {runner.cmdline()} {runner.environ()}"


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({}, "$ breaks the rule 'required'"),
        ({"command": []}, "$.command breaks the rule 'minItems'"),
        ({"command": [""]}, "$.command[0] breaks the rule 'minLength'"),
        ({"command": "secret"}, "$.command breaks the rule 'type' array"),
        ({"command": ["x", "secret\0"]}, "$.command[1] breaks the rule 'not'"),
        ({"command": ["x"], "env": {"A": "secret\0"}}, "$.env.A breaks the rule 'not'"),
        ({"command": ["x"], "env": {"A": 1}}, "$.env.A breaks the rule 'type' string"),
        ({"command": ["x"], "env": {"secret=": ""}}, "$.env breaks the rule 'not'"),
        ({"command": ["x"], "working_folder": "secret"}, "'pattern' ^/"),
        ({"command": ["x"], "port": 65536}, "$.port breaks the rule 'maximum' 65535"),
        ({"command": ["x"], "port": 80.0}, "$.port must be a whole number"),
        ({"command": ["x"], "health": {}}, "$.health breaks the rule 'oneOf'"),
        ({"command": ["x"], "health": {"tcp": True, "http": "/"}}, "'oneOf'"),
        ({"command": ["x"], "health": {"http": "/\r\nsecret"}}, "'not'"),
        ({"command": ["x"], "health": {"http": "/\n"}}, "'not'"),
        ({"command": ["x"], "comand": "secret"}, "$.comand is unknown; did you mean"),
        ({"command": ["\ud800"]}, "$.command[0] is not valid Unicode"),
        ({"command": ["x"], "env": {"\ud800": ""}}, r"$.env.\ud800 is not valid Unicode"),
        ({"command": ["x"], "env": {"A": "\ud800"}}, "$.env.A is not valid Unicode"),
    ],
)
def test_a_bad_configuration_is_refused_by_the_name_of_its_key(
    engine: ProcessCompute, config: dict[str, object], problem: str
) -> None:
    registry = ComputeRegistry({"process": engine})

    with pytest.raises(ComputeRefused) as caught:
        registry.check("process", config)

    assert problem in str(caught.value)
    assert "secret" not in str(caught.value).replace("secret=", "")


def test_a_good_configuration_is_accepted(engine: ProcessCompute) -> None:
    config = answering_server(create_mark(), port=0, working_folder="/tmp", stop_timeout=1.5)

    ComputeRegistry({"process": engine}).check("process", config)

    assert engine.location(config) == ""


def test_settings_that_tenants_may_set_too_are_their_defaults() -> None:
    engine = process_engine({"output_limit": 9, "env": {"A": "1"}, "stop_timeout": 3})

    assert engine.config_defaults() == {"env": {"A": "1"}, "stop_timeout": 3}
    assert engine.settings.output_limit == 9
