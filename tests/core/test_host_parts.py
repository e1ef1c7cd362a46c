"""Parts of the host that need no process of their own."""

import asyncio

import pytest

from landlord_engines_core.engine import EngineInfo, WorkerEngine
from landlord_engines_core.errors import EngineFailed, ExitAttempted, catch_exits, error_kind
from landlord_engines_core.host import worker


class Engine(WorkerEngine):
    info = EngineInfo(name="test")

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
        await worker._shut_down(Engine())


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_a_plugin_that_ends_the_process_raises_an_error_in_its_place(
    kind: type[BaseException],
) -> None:
    with pytest.raises(ExitAttempted) as caught, catch_exits():
        raise kind

    assert error_kind(caught.value) == kind.__name__
    assert error_kind(ValueError()) == "ValueError"
