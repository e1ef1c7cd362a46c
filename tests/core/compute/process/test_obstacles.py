"""Obstacles to a delete that a tenant or its operator can create: real flags and mounts, as root."""

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


def run_tool(*command: str | Path) -> bool:
    try:
        return subprocess.run(command, check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


@pytest.fixture
def tenant_folder(tmp_path: Path) -> Iterator[Path]:
    """A tenant's folder, whose flags and mounts are removed after the test."""
    tenant_folder = tmp_path / "tenant"
    (tenant_folder / "work").mkdir(parents=True)
    for name in ("act.lock", "command.lock", "state.json"):
        (tenant_folder / name).touch()
    yield tenant_folder
    for point in sorted(obstacles.list_mounts(tmp_path), reverse=True):
        run_tool("umount", point)
    run_tool("chattr", "-R", "-i", "-a", tmp_path)


@pytest.fixture
def chattr_or_skip(tenant_folder: Path) -> None:
    if not run_tool("chattr", "+i", tenant_folder / "work") or not run_tool(
        "chattr", "-i", tenant_folder / "work"
    ):
        pytest.skip("chattr is not there, or this user or file system may not use it")


def set_flags(path: Path, chattr_or_skip: str) -> None:
    assert run_tool("chattr", chattr_or_skip, path)


def flags_of(path: Path) -> str:
    listed = subprocess.run(["lsattr", "-d", path], check=True, capture_output=True, text=True)
    return listed.stdout.split()[0]


def mount_or_skip(*arguments: str | Path) -> None:
    if not run_tool("mount", *arguments):
        pytest.skip("this user or machine may not mount")


@pytest.mark.usefixtures("chattr_or_skip")
@pytest.mark.parametrize("letter", ["+i", "+a"])
def test_root_removes_what_chattr_protects(tenant_folder: Path, letter: str) -> None:
    deep = tenant_folder / "work" / "a" / "b"
    deep.mkdir(parents=True)
    (deep / "file").write_text("x")
    (tenant_folder / "work" / "link").symlink_to("/etc")
    os.mkfifo(tenant_folder / "work" / "a" / "pipe")
    for path in (
        deep / "file",
        deep,
        tenant_folder / "work" / "a",
        tenant_folder / "work",
        tenant_folder / "act.lock",
        tenant_folder,
    ):
        set_flags(path, letter)

    remove_folder(tenant_folder)

    assert not tenant_folder.exists()


@pytest.mark.usefixtures("chattr_or_skip")
def test_a_protected_file_that_has_a_name_elsewhere_stays_protected_there(
    tenant_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "kept").write_text("x")
    os.link(tmp_path / "kept", tenant_folder / "work" / "one")
    os.link(tmp_path / "kept", tenant_folder / "work" / "two")
    set_flags(tmp_path / "kept", "+i")

    remove_folder(tenant_folder)

    assert not tenant_folder.exists()
    assert "i" in flags_of(tmp_path / "kept")


@pytest.mark.usefixtures("chattr_or_skip")
def test_a_protected_file_behind_a_link_keeps_its_flag(tenant_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("x")
    set_flags(tmp_path / "kept", "+i")
    (tenant_folder / "work" / "link").symlink_to(tmp_path / "kept")
    set_flags(tenant_folder / "work", "+i")

    remove_folder(tenant_folder)

    assert "i" in flags_of(tmp_path / "kept")


@pytest.mark.usefixtures("chattr_or_skip")
@pytest.mark.parametrize("protected", ["work/file", "work", "act.lock", ""])
def test_an_error_for_a_flag_names_the_path_and_the_command_that_clears_it(
    tenant_folder: Path, tmp_path: Path, protected: str
) -> None:
    (tenant_folder / "work" / "file").touch()
    for path in (
        tenant_folder / "work" / "file",
        tenant_folder / "work",
        tenant_folder / "act.lock",
        tenant_folder / "command.lock",
        tenant_folder,
    ):
        os.chown(path, 65534, 65534)
    (tenant_folder / "state.json").unlink()
    set_flags(tenant_folder / protected, "+i")

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
    run_tool("chattr", "-i", tenant_folder / protected)
    remove_folder(tenant_folder)
    assert not tenant_folder.exists()


@pytest.mark.usefixtures("chattr_or_skip")
async def test_a_tenant_with_protected_locks_and_folders_is_deleted_with_its_state_files(
    engine: ProcessCompute, folder: Path
) -> None:
    tenants_mark = create_mark()
    await engine.provision(spec(answering_server(tenants_mark)))
    (tenant_folder,) = (path for path in folder.iterdir() if path.name != "ports")
    for path in (*tenant_folder.glob("*"), tenant_folder):
        set_flags(path, "+i")

    assert await engine.destroy("t", "")

    assert find_processes(tenants_mark) == []
    assert [path.name for path in folder.rglob("*")] == ["ports"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes what is somebody else's")
def test_a_file_of_another_user_is_reported_with_its_path_and_owner(
    tenant_folder: Path, tmp_path: Path
) -> None:
    os.chown(tenant_folder, 65534, 65534)
    (tenant_folder / "work" / "file").touch()

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
    tenant_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deny(*_: object, **__: object) -> None:
        raise PermissionError(1, "denied")

    monkeypatch.setattr(os, "unlink", deny)

    with pytest.raises(ComputeRefused, match=r"act\.lock in the tenant's folder .*: EPERM"):
        remove_folder(tenant_folder)


@pytest.mark.parametrize("kind", ["tmpfs", "bind", "file"])
async def test_a_delete_never_crosses_a_mount_and_continues_once_it_is_unmounted(
    engine: ProcessCompute, folder: Path, tmp_path: Path, tenant_folder: Path, kind: str
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
    assert run_tool("umount", point)
    assert await engine.destroy("t", "")
    assert (outside / "kept").read_text() == "data"
    assert [path.name for path in folder.rglob("*")] == ["ports"]


def test_the_tenants_folder_itself_may_be_a_mount_and_is_left_alone(
    tenant_folder: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    mount_or_skip("--bind", outside, tenant_folder)

    with pytest.raises(ComputeRefused, match="mounted at"):
        remove_folder(tenant_folder)

    assert (outside / "kept").exists()


@pytest.mark.parametrize("mount", ["folder", "file"])
def test_a_mount_that_no_list_shows_is_detected_and_not_crossed(
    tenant_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mount: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("data")
    if mount == "folder":
        point = tenant_folder / "work"
        mount_or_skip("--bind", outside, point)
    else:
        point = tenant_folder / "state.json"
        mount_or_skip("--bind", outside / "kept", point)
    with monkeypatch.context() as patched:
        patched.setattr(obstacles, "_MOUNTS", tmp_path / "no list")
        with pytest.raises(ComputeRefused, match="mounted at"):
            remove_folder(tenant_folder)

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


def test_another_kind_of_error_is_no_protection(tenant_folder: Path) -> None:
    os.mkfifo(tenant_folder / "pipe")
    descriptor = os.open(tenant_folder, os.O_RDONLY)
    try:
        assert not obstacles.is_protected(descriptor, "pipe")
        with obstacles.without_protection(descriptor, "pipe"):
            pass
    finally:
        os.close(descriptor)


@pytest.mark.usefixtures("chattr_or_skip")
@pytest.mark.parametrize("protected", ["work", "."])
def test_a_refusal_names_the_protected_path(
    tenant_folder: Path, monkeypatch: pytest.MonkeyPatch, protected: str
) -> None:
    # Simulates a user who may not clear the flag. A test above uses a real one in a separate process.
    def deny(*_: object) -> int:
        raise PermissionError(1, "denied")

    set_flags(tenant_folder / protected, "+i")
    descriptor = os.open(tenant_folder, os.O_RDONLY)
    try:
        error = denial_error(descriptor, tenant_folder / "work", PermissionError(1, "denied"))
        monkeypatch.setattr(obstacles, "_set_flags", deny)
        with pytest.raises(ComputeRefused, match="chattr -i -a"):
            remove_folder(tenant_folder)
    finally:
        os.close(descriptor)

    assert f"chattr -i -a {(tenant_folder / protected).resolve()}`" in error.hint
