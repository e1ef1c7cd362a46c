import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from landlord_engines_core.compute.process import runner
from landlord_engines_core.compute.process.processes import Started, is_started
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


def noted(pid: int) -> Started:
    return Started(pid=pid, boot_id=boot_id(), ticks=start_ticks(pid), wall=time.time())


@pytest.mark.parametrize("wall", [0.0, 1e12])
def test_the_kernels_marks_tell_a_process_whatever_the_clock_says(pid: int, wall: float) -> None:
    assert is_started(attrs.evolve(noted(pid), wall=wall), FOLDER)


def test_one_of_another_start_or_another_boot_is_not_the_one_that_was_noted(pid: int) -> None:
    process = noted(pid)

    assert not is_started(attrs.evolve(process, ticks=process.ticks - 1), FOLDER)
    assert not is_started(attrs.evolve(process, boot_id="another"), FOLDER)


def test_a_note_of_a_former_version_names_only_a_process_of_its_folder(pid: int) -> None:
    former = attrs.evolve(noted(pid), boot_id="", ticks=0)

    assert is_started(former, FOLDER)
    assert not is_started(former, "/tenants/another")
    assert not is_started(attrs.evolve(former, pid=os.getpid()), FOLDER)
    assert not is_started(attrs.evolve(former, wall=time.time() - 3600), FOLDER)


def test_a_process_that_is_gone_is_nobodys() -> None:
    assert start_ticks(0) == 0
    assert not is_started(Started(pid=1 << 30, boot_id="", ticks=0, wall=time.time()), FOLDER)


def test_a_system_that_names_no_boot_is_told_from_one_that_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runner, "_BOOT_ID", Path("/no/such/file"))

    assert boot_id() == ""
