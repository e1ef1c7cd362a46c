import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from landlord_engines_core.compute.process.settings import check_folder
from landlord_engines_core.errors import ComputeUnavailable
from landlord_test_target.compute_engines import process_engine

AS_ANOTHER = """
import os, sys
from pathlib import Path
from landlord_engines_core.compute.process.settings import check_folder
os.setgroups([]); os.setgid(54321); os.setuid(54321)
try:
    print(check_folder(Path(sys.argv[1])))
except Exception as error:
    print(error)
"""


async def test_reach_checks_the_folder_and_creates_none(tmp_path: Path) -> None:
    compute = process_engine({"folder": str(tmp_path)})
    not_created = process_engine({"folder": str(tmp_path / "a/b")})

    assert await compute.reach() == f"folder {tmp_path}"
    assert await not_created.reach() == f"folder {tmp_path}/a/b, not created yet"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("folder", ["file", "file/below", "dangling"])
def test_a_path_that_is_no_folder_is_named(tmp_path: Path, folder: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")

    with pytest.raises(ComputeUnavailable, match=f"{folder} cannot be used: .* is not a folder"):
        check_folder(tmp_path / folder)


def test_a_path_that_no_system_accepts_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ComputeUnavailable, match="cannot be inspected: ENAMETOOLONG"):
        check_folder(tmp_path / ("x" * 300))


def test_a_read_only_file_system_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_flag=os.ST_RDONLY))

    with pytest.raises(ComputeUnavailable, match="is on a read-only file system"):
        check_folder(tmp_path)


def test_a_folder_that_may_not_be_written_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deny_access(*_: object, **__: object) -> bool:
        return False

    monkeypatch.setattr(os, "access", deny_access)
    monkeypatch.setattr(os, "supports_effective_ids", {deny_access})

    with pytest.raises(ComputeUnavailable, match=f"permission denied on {tmp_path} for uid"):
        check_folder(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("below", ["", "tenants"])
def test_a_folder_of_somebody_else_is_reported_with_the_uid(shared_path: Path, below: str) -> None:
    closed = shared_path / "closed"
    closed.mkdir(mode=0o755)

    done = subprocess.run(
        [sys.executable, "-c", AS_ANOTHER, closed / below],
        capture_output=True,
        text=True,
        check=True,
    )

    assert f"permission denied on {closed} for uid 54321" in done.stdout
    assert "set compute.process.folder" in done.stdout
