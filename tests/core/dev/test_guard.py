import os
import subprocess
import sys
from pathlib import Path

import pytest

from landlord_engines_core.dev.guard import _find_processes, guard, main

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are found on Linux")


def sleeper(value: Path) -> subprocess.Popen[bytes]:
    """A process that uses the folder, and prints a line once its environment is set."""
    process = subprocess.Popen(
        ["sh", "-c", "echo; exec sleep 60"],
        env={"PATH": os.defpath, "OWN": str(value)},
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    return process


def test_at_the_end_of_its_input_the_guard_ends_all_processes_that_use_the_folder(
    tmp_path: Path,
) -> None:
    folder, other = tmp_path / "folder", tmp_path / "folder2"
    (folder / "data").mkdir(parents=True)
    reader, writer = os.pipe()
    os.write(writer, b"x")
    os.close(writer)
    with sleeper(folder) as in_folder, sleeper(folder / "data") as two, sleeper(other) as three:
        main([str(folder)], reader)

        assert (in_folder.wait(20), two.wait(20), three.poll()) == (-9, -9, None)
        three.kill()
    os.close(reader)
    assert not folder.exists()


def test_the_guard_skips_ended_processes_and_those_of_other_users(tmp_path: Path) -> None:
    (tmp_path / "1" / "environ").mkdir(parents=True)

    assert list(_find_processes(tmp_path, tmp_path)) == []


CODE = """
import os, sys
from pathlib import Path
from landlord_engines_core.dev.guard import guard
folder = Path(sys.argv[1])
with guard(folder):
    if os.fork() == 0:
        os.environ["OWN"] = str(folder)
        os.execvp("sleep", ["sleep", "60"])
    os.kill(os.getpid(), 9)
"""


def test_children_of_a_command_that_was_killed_end_too(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    # The child inherits this output, so the output ends with the last of the processes.
    killed = subprocess.run(
        [sys.executable, "-c", CODE, folder], stdout=subprocess.PIPE, check=False, timeout=60
    )

    assert killed.returncode == -9


def test_the_guard_ends_with_its_command(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()

    with guard(folder):
        assert folder.exists()

    assert not folder.exists()
