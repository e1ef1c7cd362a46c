import asyncio
import fcntl
import os
import threading
from pathlib import Path

import pytest

from landlord_engines_core.compute.process.locks import is_held, remove_foreign, try_lock
from landlord_test_target.harness import wait_for


async def test_a_lock_has_one_holder(tmp_path: Path) -> None:
    path = tmp_path / "lock"

    assert not is_held(path)
    held = await try_lock(path)
    assert held is not None
    assert is_held(path)
    assert await try_lock(path) is None
    os.close(held)
    assert not is_held(path)


async def test_a_lock_is_held_while_any_process_has_it_open(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    held = await try_lock(path)
    assert held is not None
    inherited = os.dup(held)

    os.close(held)

    assert is_held(path)
    os.close(inherited)


async def test_a_folder_that_is_not_there_is_reported(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await try_lock(tmp_path / "none" / "lock")


@pytest.mark.parametrize("replaced", [False, True])
async def test_a_lock_whose_file_was_removed_meanwhile_is_not_acquired(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, replaced: bool
) -> None:
    path = tmp_path / "lock"
    really = os.open

    def open_then_replace(name: Path, flags: int, mode: int) -> int:
        descriptor = really(name, flags, mode)
        path.unlink()
        if replaced:
            path.write_text("another")
        return descriptor

    monkeypatch.setattr(os, "open", open_then_replace)

    assert await try_lock(path) is None


async def test_a_caller_that_is_cancelled_leaves_no_lock_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lock"
    really, has_it, goes_on = fcntl.flock, threading.Event(), threading.Event()

    def lock(descriptor: int, operation: int) -> None:
        really(descriptor, operation)
        has_it.set()
        goes_on.wait()

    monkeypatch.setattr(fcntl, "flock", lock)
    taking = asyncio.ensure_future(try_lock(path))
    await asyncio.to_thread(has_it.wait)

    taking.cancel()
    goes_on.set()
    with pytest.raises(asyncio.CancelledError):
        await taking

    async def check() -> int | None:
        return await try_lock(path)

    again = await wait_for(check)
    assert again is not None
    os.close(again)


async def test_an_error_after_the_cancellation_of_the_caller_is_dropped(tmp_path: Path) -> None:
    taking = asyncio.ensure_future(try_lock(tmp_path / "none" / "lock"))
    await asyncio.sleep(0)

    taking.cancel()

    with pytest.raises(asyncio.CancelledError):
        await taking
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("exists", [True, False])
async def test_a_lock_that_may_not_be_opened_is_opened_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, exists: bool
) -> None:
    # Root is never denied, so the error is simulated. test_removal.py runs the real case as another user.
    folder = tmp_path / "tenant"
    folder.mkdir()
    path = folder / "lock"
    if exists:
        path.touch(0)
    folder.chmod(0o500)
    really = os.open

    def open_if_permitted(file: Path, flags: int, mode: int = 0o777) -> int:
        if file == path and folder.stat().st_mode & 0o777 != 0o700:
            raise PermissionError
        return really(file, flags, mode)

    monkeypatch.setattr(os, "open", open_if_permitted)
    held = await try_lock(path)
    monkeypatch.undo()

    assert held is not None
    assert path.stat().st_mode & 0o777 == 0o600
    os.close(held)


def test_flags_that_another_worker_cleared_meanwhile_are_not_cleared_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lock"
    path.mkdir()
    really = fcntl.flock

    def lock(descriptor: int, operation: int) -> None:
        path.rmdir()
        path.touch()
        really(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", lock)

    remove_foreign(path)

    assert path.is_file()
