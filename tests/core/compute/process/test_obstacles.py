"""Obstacles to a delete that a tenant or its operator can set up: the real ones, as root."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from landlord_engines_core.compute.process import obstacles, removal
from landlord_engines_core.compute.process.engine import ProcessCompute
from landlord_engines_core.compute.process.obstacles import denial_error
from landlord_engines_core.compute.process.removal import remove_folder
from landlord_engines_core.errors import ComputeRefused
from landlord_test_target.commands import answering_server, create_mark, find_processes, spec
from landlord_test_target.nobody import run_as_nobody


def tool(*command: str | Path) -> bool:
    try:
        return subprocess.run(command, check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


@pytest.fixture
def top(tmp_path: Path) -> Iterator[Path]:
    """A tenant's folder; flags and mounts that a test leaves are taken away."""
    top = tmp_path / "tenant"
    (top / "work").mkdir(parents=True)
    for name in ("act.lock", "command.lock", "state.json"):
        (top / name).touch()
    yield top
    for point in sorted(obstacles.list_mounts(tmp_path), reverse=True):
        tool("umount", point)
    tool("chattr", "-R", "-i", "-a", tmp_path)


@pytest.fixture
def flags(top: Path) -> None:
    if not tool("chattr", "+i", top / "work") or not tool("chattr", "-i", top / "work"):
        pytest.skip("chattr is not there, or this user or file system may not use it")


def flag(path: Path, flags: str) -> None:
    assert tool("chattr", flags, path)


def flags_of(path: Path) -> str:
    listed = subprocess.run(["lsattr", "-d", path], check=True, capture_output=True, text=True)
    return listed.stdout.split()[0]


def mount_or_skip(*arguments: str | Path) -> None:
    if not tool("mount", *arguments):
        pytest.skip("this user or machine may not mount")


@pytest.mark.usefixtures("flags")
@pytest.mark.parametrize("letter", ["+i", "+a"])
def test_root_removes_what_chattr_protects(top: Path, letter: str) -> None:
    deep = top / "work" / "a" / "b"
    deep.mkdir(parents=True)
    (deep / "file").write_text("x")
    (top / "work" / "link").symlink_to("/etc")
    os.mkfifo(top / "work" / "a" / "pipe")
    for path in (deep / "file", deep, top / "work" / "a", top / "work", top / "act.lock", top):
        flag(path, letter)

    remove_folder(top)

    assert not top.exists()


@pytest.mark.usefixtures("flags")
def test_a_protected_file_that_has_a_name_elsewhere_stays_protected_there(
    top: Path, tmp_path: Path
) -> None:
    (tmp_path / "kept").write_text("x")
    os.link(tmp_path / "kept", top / "work" / "one")
    os.link(tmp_path / "kept", top / "work" / "two")
    flag(tmp_path / "kept", "+i")

    remove_folder(top)

    assert not top.exists()
    assert "i" in flags_of(tmp_path / "kept")


@pytest.mark.usefixtures("flags")
def test_a_protected_file_behind_a_link_keeps_its_flag(top: Path, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("x")
    flag(tmp_path / "kept", "+i")
    (top / "work" / "link").symlink_to(tmp_path / "kept")
    flag(top / "work", "+i")

    remove_folder(top)

    assert "i" in flags_of(tmp_path / "kept")


@pytest.mark.usefixtures("flags")
@pytest.mark.parametrize("protected", ["work/file", "work", "act.lock", ""])
def test_an_error_for_a_flag_names_the_path_and_the_command_that_clears_it(
    top: Path, tmp_path: Path, protected: str
) -> None:
    (top / "work" / "file").touch()
    for path in (top / "work" / "file", top / "work", top / "act.lock", top / "command.lock", top):
        os.chown(path, 65534, 65534)
    (top / "state.json").unlink()
    flag(top / protected, "+i")

    named = f"tenant/{protected}".rstrip("/")
    run_as_nobody(
        f"""
from landlord_engines_core.errors import ComputeRefused
try:
    removal.remove_folder(Path("tenant"))
except ComputeRefused as error:
    assert "{named} in the tenant's folder is immutable" in str(error), error
    assert "chattr -i -a {named}`" in error.hint, error
else:
    raise SystemExit("it is removed")
""",
        tmp_path,
    )
    tool("chattr", "-i", top / protected)
    remove_folder(top)
    assert not top.exists()


@pytest.mark.usefixtures("flags")
async def test_a_tenant_with_protected_locks_and_folders_is_deleted_with_its_state_files(
    engine: ProcessCompute, folder: Path
) -> None:
    tenants_mark = create_mark()
    await engine.provision(spec(answering_server(tenants_mark)))
    (top,) = (path for path in folder.iterdir() if path.name != "ports")
    for path in (*top.glob("*"), top):
        flag(path, "+i")

    assert await engine.destroy("t", "")

    assert find_processes(tenants_mark) == []
    assert [path.name for path in folder.rglob("*")] == ["ports"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes what is somebody else's")
def test_a_file_of_another_user_is_reported_with_its_path_and_owner(
    top: Path, tmp_path: Path
) -> None:
    os.chown(top, 65534, 65534)
    (top / "work" / "file").touch()

    run_as_nobody(
        """
from landlord_engines_core.errors import ComputeRefused
try:
    removal.remove_folder(Path("tenant"))
except ComputeRefused as error:
    assert "tenant/work in the tenant's folder cannot be removed: E" in str(error), error
    assert "its owner is uid 0, and this worker runs as uid 65534" in str(error), error
else:
    raise SystemExit("it is removed")
""",
        tmp_path,
    )


def test_a_denied_path_without_a_known_reason_is_reported(
    top: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: object, **__: object) -> None:
        raise PermissionError(1, "denied")

    monkeypatch.setattr(os, "unlink", denied)

    with pytest.raises(ComputeRefused, match=r"act\.lock in the tenant's folder .*: EPERM"):
        remove_folder(top)


@pytest.mark.parametrize("kind", ["tmpfs", "bind", "file"])
async def test_a_delete_never_crosses_a_mount_and_continues_once_it_is_unmounted(
    engine: ProcessCompute, folder: Path, tmp_path: Path, top: Path, kind: str
) -> None:
    tenants_mark = create_mark()
    await engine.provision(spec(answering_server(tenants_mark)))
    (own,) = (path for path in folder.iterdir() if path.name != "ports")
    point = own / "work" / "a b"
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("data")
    if kind == "file":
        point.touch()
        mount_or_skip("--bind", outside / "kept", point)
    else:
        point.mkdir()
        arguments = ("-t", "tmpfs", "none") if kind == "tmpfs" else ("--bind", str(outside))
        mount_or_skip(*arguments, point)

    with pytest.raises(ComputeRefused) as caught:
        await engine.destroy("t", "")

    assert str(point) in caught.value.message
    assert f"umount '{point}'" in caught.value.hint
    assert find_processes(tenants_mark) == []
    assert (outside / "kept").read_text() == "data"
    assert tool("umount", point)
    assert await engine.destroy("t", "")
    assert (outside / "kept").read_text() == "data"
    assert [path.name for path in folder.rglob("*")] == ["ports"]


def test_the_tenants_folder_itself_may_be_a_mount_and_is_left_alone(
    top: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    mount_or_skip("--bind", outside, top)

    with pytest.raises(ComputeRefused, match="mounted at"):
        remove_folder(top)

    assert (outside / "kept").exists()


@pytest.mark.parametrize("what", ["folder", "file"])
def test_a_mount_that_no_list_shows_is_detected_and_not_crossed(
    top: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("data")
    if what == "folder":
        point = top / "work"
        mount_or_skip("--bind", outside, point)
    else:
        point = top / "state.json"
        mount_or_skip("--bind", outside / "kept", point)
    with monkeypatch.context() as patched:
        patched.setattr(obstacles, "_MOUNTS", tmp_path / "no list")
        with pytest.raises(ComputeRefused, match="mounted at"):
            remove_folder(top)

    assert (outside / "kept").read_text() == "data"


def test_without_mount_ids_a_mount_is_recognised_by_its_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(obstacles, "_DESCRIPTORS", tmp_path)
    descriptor = os.open(tmp_path, os.O_RDONLY)

    assert obstacles.mount_id(descriptor) == (tmp_path.stat().st_dev, 0)
    os.close(descriptor)


def test_more_mounts_than_a_message_names_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mountinfo"
    line = "36 35 98:0 / {} rw - ext4 /dev/sda rw\n"
    points = ["/", *(f"{tmp_path}/t/m{n}" for n in range(5)), f"{tmp_path}/t/new\\012line"]
    mounts.write_text("".join(line.format(point) for point in points))
    monkeypatch.setattr(obstacles, "_MOUNTS", mounts)

    with pytest.raises(ComputeRefused, match=r"new\\x0aline', .*/m4, .*/m3 and 3 more"):
        remove_folder(tmp_path / "t")


def test_a_file_system_without_flags_shows_none(tmp_path: Path) -> None:
    descriptor = os.open("/proc/self", os.O_RDONLY)
    try:
        assert not obstacles.is_protected(descriptor, "status")
        with obstacles.without_protection(descriptor, "status"):
            pass
    finally:
        os.close(descriptor)


async def test_any_name_in_a_tenants_folder_is_removed_and_a_link_alone(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "link").symlink_to("outside")
    (tmp_path / "folder" / "deep").mkdir(parents=True)

    removal.remove_path(tmp_path / "link")
    removal.remove_path(tmp_path / "folder")

    assert [path.name for path in tmp_path.iterdir()] == ["outside"]


def test_another_kind_of_error_is_no_protection(top: Path) -> None:
    os.mkfifo(top / "pipe")
    descriptor = os.open(top, os.O_RDONLY)
    try:
        assert not obstacles.is_protected(descriptor, "pipe")
        with obstacles.without_protection(descriptor, "pipe"):
            pass
    finally:
        os.close(descriptor)


@pytest.mark.usefixtures("flags")
@pytest.mark.parametrize("protected", ["work", "."])
def test_a_refusal_names_the_protected_path(
    top: Path, monkeypatch: pytest.MonkeyPatch, protected: str
) -> None:
    # As for a user who may not clear it; the real one, in a process of its own, is above.
    def denied(*_: object) -> int:
        raise PermissionError(1, "denied")

    flag(top / protected, "+i")
    descriptor = os.open(top, os.O_RDONLY)
    try:
        error = denial_error(descriptor, top / "work", PermissionError(1, "denied"))
        monkeypatch.setattr(obstacles, "_set_flags", denied)
        with pytest.raises(ComputeRefused, match="chattr -i -a"):
            remove_folder(top)
    finally:
        os.close(descriptor)

    assert f"chattr -i -a {(top / protected).resolve()}`" in error.hint
