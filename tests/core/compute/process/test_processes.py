import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from landlord_engines_core.compute.process import processes, runner
from landlord_engines_core.compute.process.processes import (
    ProcessIdentity,
    is_same_process,
    kill_lock_holders,
    visit_processes,
)
from landlord_engines_core.compute.process.runner import MARK, boot_id, start_ticks

FOLDER = "/tenants/one"


@pytest.fixture
def pid() -> Iterator[int]:
    code = "import time; print(flush=True); time.sleep(1000)"
    with subprocess.Popen(
        [sys.executable, "-c", code], env={MARK: FOLDER}, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
        process.kill()


def identity_of(pid: int) -> ProcessIdentity:
    return ProcessIdentity(pid=pid, boot_id=boot_id(), ticks=start_ticks(pid), wall=time.time())


@pytest.mark.parametrize("wall", [0.0, 1e12])
def test_a_process_is_identified_by_the_kernels_start_time_and_not_by_the_clock(
    pid: int, wall: float
) -> None:
    assert is_same_process(attrs.evolve(identity_of(pid), wall=wall), FOLDER)


def test_a_process_with_another_start_time_or_boot_is_another_process(pid: int) -> None:
    process = identity_of(pid)

    assert not is_same_process(attrs.evolve(process, ticks=process.ticks - 1), FOLDER)
    assert not is_same_process(attrs.evolve(process, boot_id="another"), FOLDER)


def test_a_state_file_of_a_former_version_identifies_only_a_process_in_its_folder(pid: int) -> None:
    former = attrs.evolve(identity_of(pid), boot_id="", ticks=0)

    assert is_same_process(former, FOLDER)
    assert not is_same_process(former, "/tenants/another")
    assert not is_same_process(attrs.evolve(former, pid=os.getpid()), FOLDER)
    assert not is_same_process(attrs.evolve(former, wall=time.time() - 3600), FOLDER)


def test_a_process_that_has_ended_belongs_to_no_tenant() -> None:
    assert start_ticks(0) == 0
    assert not is_same_process(
        ProcessIdentity(pid=1 << 30, boot_id="", ticks=0, wall=time.time()), FOLDER
    )


def test_a_system_without_a_boot_id_differs_from_one_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runner, "_BOOT_ID", Path("/no/such/file"))

    assert boot_id() == ""


def test_a_zombie_no_longer_counts_as_the_recorded_process() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    try:
        assert identity_of(pid).ticks
        assert not is_same_process(identity_of(pid), FOLDER)
    finally:
        os.waitpid(pid, 0)


@pytest.mark.parametrize("proc", [Path("/proc"), Path("/no/such/folder")])
def test_a_tenants_process_is_found_by_its_environment(
    pid: int, monkeypatch: pytest.MonkeyPatch, proc: Path
) -> None:
    monkeypatch.setattr(processes, "_PROC", proc)
    visited: list[int] = []

    assert visit_processes(FOLDER, visited.append)
    assert set(visited) == {pid}
    assert not visit_processes("/tenants/another", visited.append)


def test_processes_that_may_not_be_inspected_belong_to_no_tenant(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def deny(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr("builtins.open", deny)

    assert not visit_processes(FOLDER, lambda _: None)


def test_the_search_follows_short_lived_processes_for_a_limited_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    numbers = itertools.count(1 << 30)
    monkeypatch.setattr(processes, "_newest_pid", lambda: next(numbers))
    monkeypatch.setattr(processes, "_LONGEST_SEARCH", 0.05)
    begun = time.monotonic()

    assert not visit_processes(FOLDER, lambda _: None)

    assert time.monotonic() - begun >= 0.05


def test_a_process_of_the_tenant_that_holds_no_lock_is_left_alone(
    pid: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "_has_mark", lambda number, _: number == pid)

    kill_lock_holders(tmp_path, tmp_path / "no lock")

    assert start_ticks(pid)
    assert is_same_process(identity_of(pid), FOLDER)


def test_a_process_in_the_session_of_the_worker_is_killed_without_its_group() -> None:
    with subprocess.Popen(["/bin/sleep", "1000"]) as child:
        processes.kill(child.pid)

        assert child.wait() == -signal.SIGKILL
