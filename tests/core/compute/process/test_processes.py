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
    kill_holders,
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


def identity(pid: int) -> ProcessIdentity:
    return ProcessIdentity(pid=pid, boot_id=boot_id(), ticks=start_ticks(pid), wall=time.time())


@pytest.mark.parametrize("wall", [0.0, 1e12])
def test_the_kernels_marks_tell_a_process_whatever_the_clock_says(pid: int, wall: float) -> None:
    assert is_same_process(attrs.evolve(identity(pid), wall=wall), FOLDER)


def test_one_of_another_start_or_another_boot_is_not_the_one_that_was_noted(pid: int) -> None:
    process = identity(pid)

    assert not is_same_process(attrs.evolve(process, ticks=process.ticks - 1), FOLDER)
    assert not is_same_process(attrs.evolve(process, boot_id="another"), FOLDER)


def test_a_note_of_a_former_version_names_only_a_process_of_its_folder(pid: int) -> None:
    former = attrs.evolve(identity(pid), boot_id="", ticks=0)

    assert is_same_process(former, FOLDER)
    assert not is_same_process(former, "/tenants/another")
    assert not is_same_process(attrs.evolve(former, pid=os.getpid()), FOLDER)
    assert not is_same_process(attrs.evolve(former, wall=time.time() - 3600), FOLDER)


def test_a_process_that_is_gone_is_nobodys() -> None:
    assert start_ticks(0) == 0
    assert not is_same_process(
        ProcessIdentity(pid=1 << 30, boot_id="", ticks=0, wall=time.time()), FOLDER
    )


def test_a_system_that_names_no_boot_is_told_from_one_that_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runner, "_BOOT_ID", Path("/no/such/file"))

    assert boot_id() == ""


def test_a_zombie_is_not_the_one_that_was_noted_any_more() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    try:
        assert identity(pid).ticks
        assert not is_same_process(identity(pid), FOLDER)
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


def test_those_that_may_not_be_looked_at_are_nobodys(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr("builtins.open", denied)

    assert not visit_processes(FOLDER, lambda _: None)


def test_those_that_end_before_they_are_asked_are_followed_for_a_bounded_time(
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

    kill_holders(tmp_path, tmp_path / "no lock")

    assert start_ticks(pid)
    assert is_same_process(identity(pid), FOLDER)


def test_what_has_this_workers_session_is_killed_without_its_group() -> None:
    with subprocess.Popen(["/bin/sleep", "1000"]) as child:
        processes.kill(child.pid)

        assert child.wait() == -signal.SIGKILL
