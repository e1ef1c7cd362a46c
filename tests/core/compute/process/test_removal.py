import os
import socket
import subprocess
from pathlib import Path

import pytest

from landlord_engines_core.compute.process.removal import make_usable, remove_folder
from landlord_test_target.nobody import run_as_nobody


def test_files_without_permissions_for_their_own_user_are_removed(tmp_path: Path) -> None:
    run_as_nobody(
        """
top = Path("tenant")
(top / "work/a/b").mkdir(parents=True)
(top / "work/a/b/file").touch(0o400)
(top / "work/empty").mkdir()
for path, mode in (("work/a/b", 0o500), ("work/a", 0), ("work/empty", 0), ("work", 0o555), ("", 0)):
    (top / path).chmod(mode)
removal.remove_folder(top)
assert not top.exists()
""",
        tmp_path,
    )


def test_a_lock_file_without_permissions_is_acquired_anyway(tmp_path: Path) -> None:
    run_as_nobody(
        """
top = Path("tenant")
top.mkdir()
for make in (lambda: None, lambda: (top / "lock").chmod(0), lambda: top.chmod(0)):
    make()
    assert not locks.is_held(top / "lock")
    held = asyncio.run(locks.try_lock(top / "lock"))
    assert held is not None
    os.close(held)
""",
        tmp_path,
    )


def test_links_are_removed_and_never_followed(tmp_path: Path) -> None:
    outside, top = tmp_path / "outside", tmp_path / "tenant"
    outside.mkdir(mode=0o500)
    (outside / "kept").touch(0o400)
    (top / "deep").mkdir(parents=True)
    for location in (top, top / "deep"):
        (location / "folder").symlink_to(outside)
        (location / "file").symlink_to(outside / "kept")
        (location / "nowhere").symlink_to("/no/such/place")
    os.link(outside / "kept", top / "deep" / "hard")
    (top / "work").symlink_to(outside)

    remove_folder(top)

    assert not top.exists()
    assert [path.name for path in outside.iterdir()] == ["kept"]
    assert outside.stat().st_mode & 0o777 == 0o500
    assert (outside / "kept").stat().st_mode & 0o777 == 0o400


def test_a_folder_that_is_a_link_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "tenant").symlink_to(tmp_path / "outside")

    with pytest.raises(OSError, match="tenant"):
        remove_folder(tmp_path / "tenant")

    assert (tmp_path / "outside").is_dir()


def test_a_tree_deeper_than_any_stack_or_path_is_removed(tmp_path: Path) -> None:
    top = tmp_path / "tenant"
    top.mkdir()
    folder = os.open(top, os.O_RDONLY)
    try:
        for _ in range(3000):
            os.mkdir("d", dir_fd=folder)
            below = os.open("d", os.O_RDONLY, dir_fd=folder)
            os.close(folder)
            folder = below
        os.close(folder)

        remove_folder(top)

        assert not top.exists()
    finally:
        # pytest could not remove the folder, and would fail at its next starts.
        subprocess.run(["rm", "-rf", top], check=True)


def test_sockets_pipes_many_files_and_odd_names_are_removed(tmp_path: Path) -> None:
    top = tmp_path / "tenant"
    work = top / "work"
    work.mkdir(parents=True)
    os.mkfifo(work / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        folder = os.open(work, os.O_RDONLY)
        server.bind(f"/proc/self/fd/{folder}/socket")
        os.close(folder)
        for number in range(2000):
            (work / f"{number}").touch()
        (work / os.fsdecode(b"\xff\n -rf")).touch()
        remove_folder(top)

    assert not top.exists()


def test_the_locks_and_the_state_are_removed_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    top = tmp_path / "tenant"
    (top / "work").mkdir(parents=True)
    for name in ("act.lock", "a", "state.json", "z"):
        (top / name).touch()
    removed: list[str] = []
    unlink = os.unlink

    def record(name: str, *, dir_fd: int) -> None:
        removed.append(name)
        unlink(name, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", record)
    remove_folder(top)

    assert set(removed[:2]) == {"a", "z"}


def test_the_permissions_of_a_link_and_its_target_are_not_changed(tmp_path: Path) -> None:
    outside, link = tmp_path / "outside", tmp_path / "link"
    outside.touch(0o400)
    link.symlink_to(outside)

    make_usable(link, 0o700)

    assert outside.stat().st_mode & 0o777 == 0o400
