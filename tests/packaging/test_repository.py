import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# The words are written in two halves, or the test would find this file.
FORBIDDEN = (
    "/wo" + "rk/",
    "/tmp/" + "venv",
    "/opt/" + "pypi",
    "/opt/" + "wheels",
    "files.python" + "hosted",
    "pypi.org/" + "simple",
    "registry.npm" + "js.org",
)


@pytest.mark.skipif(shutil.which("git") is None, reason="only git knows what is committed")
def test_no_path_of_a_machine_and_no_registry_host_is_committed() -> None:
    listing = ["git", "-c", "safe.directory=*", "ls-files", "-z"]
    listed = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, text=True)
    files = [ROOT / name for name in listed.stdout.split("\0") if name]

    faults = [
        f"{path.relative_to(ROOT)}: {text}"
        for path in files
        if path.is_file()
        for text in FORBIDDEN
        if text in path.read_text(encoding="utf-8", errors="replace")
    ]

    assert files
    assert not faults


def test_the_constraints_are_exact_versions_without_addresses() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()

    pinned = [line.partition(";")[0].strip() for line in lines]

    assert pinned
    assert all(line.count("==") == 1 for line in pinned)
    assert not [line for line in lines if "/" in line or "@" in line or "landlord" in line]
