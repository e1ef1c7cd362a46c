"""A worker that serves no jobs, as commands such as `check` build it."""

import asyncio

import pytest

from landlord_engines_core.engine import (
    Capability,
    EngineContext,
    EngineFactory,
    EngineInfo,
    HostInfo,
    Support,
    WorkerEngine,
)
from landlord_engines_core.errors import EngineFailed, PluginInvalid
from landlord_engines_core.host import worker
from landlord_engines_core.metrics import Metrics
from landlord_test_target.in_memory import RecordingLogger, build_tenant_jobs


class Engine(WorkerEngine):
    async def serve(self, started: object) -> None:
        """Nothing is served."""

    async def register(self) -> object:  # type: ignore[override]
        raise NotImplementedError

    async def shutdown(self, grace: float) -> None:
        await asyncio.Event().wait()


async def test_a_command_names_an_engine_that_does_not_shut_down(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker, "LONGEST_SHUTDOWN", 0.01)

    with pytest.raises(EngineFailed, match="shutdown of worker engine test did not return"):
        await worker._shut_down(EngineInfo(name="test", contract=1), Engine())


@pytest.mark.parametrize(
    ("created", "problem"),
    [
        (None, "it creates an object of type NoneType, and not a WorkerEngine"),
        (Engine(), "it declares move in full, and Engine does not override move"),
    ],
    ids=["nothing", "less"],
)
def test_an_engine_that_lacks_what_its_factory_declares_is_refused_when_it_is_created(
    created: object, problem: str
) -> None:
    context = EngineContext(
        settings=None,
        run_job=build_tenant_jobs().run,
        resync=build_tenant_jobs().resync,
        is_desired=build_tenant_jobs().is_desired,
        logger=RecordingLogger(),
        host=HostInfo(),
    )
    factory = EngineFactory(
        info=EngineInfo(name="test", contract=1, capabilities={Capability.MOVE: Support.FULL}),
        settings_type=object,
        create_engine=lambda _: created,  # type: ignore[arg-type,return-value]  # the case
    )

    with pytest.raises(PluginInvalid, match=problem):
        worker._build_engine(factory, context, Metrics().engines)
