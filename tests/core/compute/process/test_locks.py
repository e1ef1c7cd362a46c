import asyncio
import os
from pathlib import Path

import pytest

from landlord_engines_core.compute.process.locks import is_held, take


async def test_a_lock_is_held_by_one(tmp_path: Path) -> None:
    path = tmp_path / "lock"

    assert not is_held(path)
    held = await take(path)
    assert held is not None
    assert is_held(path)
    assert await take(path) is None
    os.close(held)
    assert not is_held(path)


async def test_a_lock_is_held_as_long_as_anybody_has_it_open(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    held = await take(path)
    assert held is not None
    inherited = os.dup(held)

    os.close(held)

    assert is_held(path)
    os.close(inherited)


async def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await take(tmp_path / "none" / "lock")


async def test_a_lock_whose_file_was_replaced_meanwhile_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lock"
    really = os.open

    def replaced(*args: object) -> int:
        descriptor: int = really(*args)  # type: ignore[arg-type, call-overload]
        path.unlink()
        return descriptor

    monkeypatch.setattr(os, "open", replaced)

    assert await take(path) is None


@pytest.mark.parametrize("held", [False, True])
async def test_a_caller_that_is_cancelled_leaves_no_lock_held(
    tmp_path: Path, *, held: bool
) -> None:
    path = tmp_path / "lock"
    other = await take(path) if held else None
    taking = asyncio.ensure_future(take(path))
    await asyncio.sleep(0)

    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taking
    if other is not None:
        os.close(other)

    for _ in range(500):
        again = await take(path)
        if again is not None:
            break
        await asyncio.sleep(0.01)
    assert again is not None
    os.close(again)
