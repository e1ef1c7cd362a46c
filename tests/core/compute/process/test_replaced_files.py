"""A tenant that puts something else in the place of the engine's own files."""

import asyncio
import fcntl
import json
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from landlord_engines_core.compute import ResourceState
from landlord_engines_core.compute.process import ProcessCompute, reconcile, removal, runner
from landlord_engines_core.compute.process.folder import Folder
from landlord_engines_core.compute.process.locks import is_held, remove_foreign, try_lock
from landlord_engines_core.compute.process.ports import PortClaims
from landlord_engines_core.compute.process.runner import NotAFile, open_file
from landlord_engines_core.compute.process.settings import Ports
from landlord_engines_core.errors import ComputeUnavailable
from landlord_test_target.commands import (
    PYTHON,
    answering_server,
    create_mark,
    find_processes,
    spec,
)
from landlord_test_target.harness import wait_for

FILES = ("act.lock", "command.lock", "runner.lock", "state.json", "note.json", "output.log", "work")
NEW = ("state.json.new", "note.json.new", "output.log.1")

Make = Callable[[Path], None]


def folder_of(folder: Path) -> Path:
    (path,) = (path for path in folder.iterdir() if path.name != "ports")
    return path


def a_folder(path: Path) -> None:
    (path / "deep").mkdir(parents=True)
    (path / "deep" / "file").touch()


def a_link(path: Path) -> None:
    path.symlink_to(path.parents[2] / "outside" / "kept")


def a_link_to_a_folder(path: Path) -> None:
    path.symlink_to(path.parents[2] / "outside")


def a_fifo(path: Path) -> None:
    os.mkfifo(path)


def a_device(path: Path) -> None:
    try:
        os.mknod(path, 0o600 | 0o020000, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("only root makes a device")


HOLDS = """
import fcntl, os, sys, time
held = os.open("../" + sys.argv[1], os.O_RDONLY)
while True:
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        break
    except BlockingIOError:
        time.sleep(0.01)
if sys.argv[1] == ".":
    os.unlink("../act.lock")
    os.mkdir("../act.lock")
open("holds", "w").close()
time.sleep(1000)
"""
"""Holds the lock with this name, or keeps others from making one."""

KINDS = (a_folder, a_link, a_link_to_a_folder, a_fifo, a_device)


def replace_all(top: Path, make: Make) -> None:
    for name in (*FILES, *NEW, "ports"):
        path = top / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        make(path)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    outside = tmp_path / "outside"
    outside.mkdir()
    for name in ("kept", "20001"):
        (outside / name).write_text("data")
    return outside


@pytest.mark.parametrize("make", KINDS)
async def test_a_tenant_whose_files_were_replaced_by_other_kinds_is_updated_and_deleted(
    engine: ProcessCompute, folder: Path, outside: Path, make: Make
) -> None:
    tenants_mark = create_mark()
    await engine.provision(spec(answering_server(tenants_mark)))
    replace_all(folder_of(folder), make)
    removal.remove_path(folder_of(folder) / "work")

    async with asyncio.timeout(20):
        await engine.update(spec(answering_server(tenants_mark, status=204)))

    async def serves() -> bool:
        return (await engine.inspect("t", "")).state is ResourceState.HEALTHY

    await wait_for(serves)
    (process,) = find_processes(tenants_mark)
    assert process.environ()["STATUS"] == "204"
    replace_all(folder_of(folder), make)

    async def is_deleted() -> bool:
        # A runner whose status is gone is found by nobody. It writes its last status once its command
        # is killed, which may come between the removal of the files and that of the folder.
        with suppress(ComputeUnavailable):
            await engine.destroy("t", "")
        return [path.name for path in folder.rglob("*")] == ["ports"]

    async with asyncio.timeout(20):
        await wait_for(is_deleted)

    assert find_processes(tenants_mark) == []
    assert {path.name: path.read_text() for path in outside.iterdir()} == {
        "kept": "data",
        "20001": "data",
    }


@pytest.mark.parametrize("make", KINDS)
def test_a_path_that_is_no_regular_file_is_reported_and_not_opened(
    tmp_path: Path, make: Make
) -> None:
    path = tmp_path / "a" / "b" / "c" / "file"
    path.parent.mkdir(parents=True)
    make(path)

    with pytest.raises(NotAFile) as caught:
        open_file(path, os.O_RDWR)

    assert caught.value.mode == path.lstat().st_mode
    assert not is_held(path)


def test_a_fifo_that_replaces_a_file_after_the_check_does_not_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    really = os.open

    def late(file: Path, flags: int, mode: int) -> int:
        os.mkfifo(file)
        return really(file, flags, mode)

    monkeypatch.setattr(os, "open", late)

    with pytest.raises(NotAFile):
        open_file(path, os.O_RDONLY)


async def test_a_lock_is_acquired_after_another_kind_of_file_was_replaced(tmp_path: Path) -> None:
    a_folder(tmp_path / "lock")

    assert await try_lock(tmp_path / "lock") is None
    held = await try_lock(tmp_path / "lock")

    assert held is not None
    remove_foreign(tmp_path / "lock")
    assert is_held(tmp_path / "lock")
    os.close(held)


def test_a_path_that_another_worker_is_clearing_is_left_to_it(tmp_path: Path) -> None:
    a_folder(tmp_path / "lock")
    descriptor = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)

    remove_foreign(tmp_path / "lock")
    assert (tmp_path / "lock").is_dir()

    os.close(descriptor)
    remove_foreign(tmp_path / "lock")
    assert not (tmp_path / "lock").exists()
    remove_foreign(tmp_path / "lock")


@pytest.mark.parametrize(
    "lies",
    [
        {"stop_timeout": 1e9},
        {"pid": -1, "child": -1, "boot_id": "", "ticks": 0},
        {"pid": 10**30, "child": 10**30, "boot_id": "", "ticks": 0},
        {"pid": "secret"},
    ],
)
async def test_a_state_file_that_a_tenant_wrote_delays_no_delete(
    engine: ProcessCompute, folder: Path, lies: dict[str, object]
) -> None:
    tenants_mark = create_mark()
    await engine.provision(spec(answering_server(tenants_mark)))
    note = folder_of(folder) / "note.json"
    note.write_text(json.dumps({**json.loads(note.read_text()), **lies}))

    async with asyncio.timeout(20):
        await engine.destroy("t", "")

    assert find_processes(tenants_mark) == []


def test_a_document_is_read_up_to_a_bound(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "t")
    folder.create()
    with (folder.path / "state.json").open("wb") as file:
        file.truncate(1 << 40)

    assert folder.read().state is None


def test_files_with_claims_of_ports_may_contain_anything(tmp_path: Path, outside: Path) -> None:
    tenant = tmp_path / "tenants" / "t"
    tenant.mkdir(parents=True)
    claims = PortClaims(tenant, Ports())
    port = claims.claim_free(0, current=0)
    (tenant / "ports" / "no number").touch()
    (tenant / "ports" / "20002").mkdir()

    claims.release_others()
    assert not (tenant.parent / "ports" / str(port)).is_symlink()
    shutil.rmtree(tenant / "ports")
    (tenant / "ports").symlink_to(outside)
    claims.release_others()
    assert (outside / "20001").exists()

    claims.claim_free(0, current=0)
    assert not (tenant / "ports").is_symlink()
    assert len(list(outside.iterdir())) == 2


def test_output_goes_to_no_fifo_and_no_link(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to(tmp_path / "other")
    (tmp_path / "other").touch()

    for name in ("fifo", "link"):
        runner.Output(tmp_path / name, 10).write(b"x")

    assert (tmp_path / "other").read_bytes() == b""


@pytest.mark.parametrize("held", ["act.lock", "."])
async def test_a_tenant_that_holds_the_lock_of_the_worker_is_deleted_anyway(
    engine: ProcessCompute, folder: Path, monkeypatch: pytest.MonkeyPatch, held: str
) -> None:
    monkeypatch.setattr(reconcile, "_LOCK_TIMEOUT", 0.2)
    tenants_mark = create_mark()
    env = {"TENANT_MARK": tenants_mark}
    await engine.provision(spec({"command": [*PYTHON, HOLDS, held], "env": env}))

    async def holds() -> bool:
        return (folder_of(folder) / "work" / "holds").exists()

    await wait_for(holds)
    with pytest.raises(ComputeUnavailable, match="another worker acts on"):
        await engine.update(spec(answering_server(tenants_mark)))
    assert find_processes(tenants_mark)

    assert await engine.destroy("t", "")

    assert find_processes(tenants_mark) == []


async def test_a_delete_waits_for_a_worker_that_acts_on_the_tenant(
    engine: ProcessCompute, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "_LOCK_TIMEOUT", 0.2)
    tenants_mark = create_mark()
    await engine.provision(spec(answering_server(tenants_mark)))
    held = await try_lock(folder_of(folder) / "act.lock")
    assert held is not None

    with pytest.raises(ComputeUnavailable, match="another worker acts on"):
        await engine.destroy("t", "")

    assert find_processes(tenants_mark)
    os.close(held)
    assert await engine.destroy("t", "")
