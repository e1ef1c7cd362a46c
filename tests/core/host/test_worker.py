"""A worker that serves nothing, as the commands that only ask build it."""

import asyncio

import pytest

from landlord_engines_core.engine import EngineInfo, WorkerEngine
from landlord_engines_core.errors import EngineFailed
from landlord_engines_core.host import worker


class Engine(WorkerEngine):
    async def serve(self, started: object) -> None:
        """Nothing is served."""

    async def register(self) -> object:  # type: ignore[override]
        raise NotImplementedError

    async def shutdown(self, grace: float) -> None:
        await asyncio.Event().wait()


async def test_an_engine_of_a_command_that_does_not_shut_down_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker, "LONGEST_SHUTDOWN", 0.01)

    with pytest.raises(EngineFailed, match="shutdown of worker engine test did not return"):
        await worker._shut_down(EngineInfo(name="test", contract=1), Engine())
