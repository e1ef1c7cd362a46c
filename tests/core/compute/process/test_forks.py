"""Tenants whose processes keep forking while the engine ends them."""

from pathlib import Path

import pytest

from landlord_engines_core.compute import ResourceState
from landlord_engines_core.compute.process import ProcessCompute, processes, termination
from landlord_engines_core.compute.process.locks import is_held
from landlord_engines_core.errors import ComputeUnavailable
from landlord_test_target.commands import PYTHON, spec
from landlord_test_target.harness import wait_for

CHAIN = """
import fcntl, os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.fork() and os._exit(0)
os.setsid()
{first}
alive = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.flock(alive, fcntl.LOCK_EX)
until = time.monotonic() + 60
while time.monotonic() < until:
    if os.fork():
        os._exit(0)
    {each}
    time.sleep(0.003)
"""
"""A process that forks and exits every few milliseconds. Whoever is alive holds a lock.

It ends by itself after a minute: it would outlive a test that is killed, and slow the whole machine.
"""

DOUBLE = "os.setsid(); os.fork() and os._exit(0); os.setsid()"
CLOSES_ALL = "os.closerange(0, 100)"


@pytest.mark.parametrize(
    "chain", [("", "pass"), (CLOSES_ALL, "os.setsid()"), (CLOSES_ALL, DOUBLE), ("", DOUBLE)]
)
async def test_a_chain_of_forks_is_ended(
    engine: ProcessCompute,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    chain: tuple[str, str],
) -> None:
    monkeypatch.setattr(termination, "_GRACE", 2.0)
    alive = tmp_path / "alive"
    code = CHAIN.format(first=chain[0], each=chain[1])
    await engine.provision(spec({"command": [*PYTHON, code, str(alive)], "stop_timeout": 0.2}))

    async def has_forked() -> bool:
        observed = await engine.inspect("t", "")
        return observed.state is ResourceState.FAILED and is_held(alive)

    await wait_for(has_forked)
    # After `longest_stop` the delete would raise an error.
    assert await engine.destroy("t", "")

    async def has_released() -> bool:
        return not is_held(alive)

    # Killed processes release their locks one after the other.
    await wait_for(has_released)
    assert [path.name for path in folder.rglob("*")] == ["ports"]


async def test_a_process_without_the_lock_that_does_not_end_is_reported(
    engine: ProcessCompute, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive = tmp_path / "alive"
    code = CHAIN.format(first=f"{CLOSES_ALL}; os.setsid", each="time.sleep(1000)")
    await engine.provision(spec({"command": [*PYTHON, code, str(alive)], "stop_timeout": 0}))

    async def has_forked() -> bool:
        observed = await engine.inspect("t", "")
        return observed.state is ResourceState.FAILED and is_held(alive)

    await wait_for(has_forked)
    with monkeypatch.context() as patched:
        patched.setattr(termination, "_GRACE", 0.1)
        patched.setattr(processes, "kill", lambda _: None)
        with pytest.raises(ComputeUnavailable, match="of this tenant does not end") as caught:
            await engine.destroy("t", "")

    assert "LANDLORD_PROCESS_FOLDER=" in caught.value.hint
    assert is_held(alive)
    assert await engine.destroy("t", "")
