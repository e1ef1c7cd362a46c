"""Stub of a worker engine for AWS Step Functions, which refuses to serve.

The README of this distribution explains how jobs would map to a state machine. Nothing here calls AWS.
"""

from collections.abc import Callable

import attrs

from landlord_engines_core.api import (
    Capability,
    EngineContext,
    EngineFactory,
    EngineInfo,
    EngineRefused,
    Registration,
    Support,
    WorkerEngine,
)

__all__ = ["StepFunctionsEngine", "StepFunctionsSettings", "factory"]


@attrs.frozen(kw_only=True)
class StepFunctionsSettings:
    """The section ``workflow.stepfunctions``, which has no keys yet."""


INFO = EngineInfo(
    name="stepfunctions",
    contract=1,
    capabilities={
        Capability.TENANT_LOCK: Support.PLANNED,
        Capability.JOURNAL: Support.PLANNED,
        Capability.DRY_RUN: Support.PLANNED,
        Capability.WATCH: Support.PLANNED,
        Capability.MAKE_LATEST: Support.UNSUPPORTED,
        Capability.MOVE: Support.UNSUPPORTED,
        Capability.RESYNC: Support.PLANNED,
        Capability.RECORDS: Support.PLANNED,
        Capability.RETRY: Support.PLANNED,
    },
)
"""The capabilities of the future engine."""


class StepFunctionsEngine(WorkerEngine):
    """Engine that refuses to serve."""

    async def serve(self, started: Callable[[], None]) -> None:
        """Refuse, because this engine is a stub."""
        _ = started
        raise _refusal()

    def check(self) -> None:
        """Refuse, because this engine is a stub."""
        raise _refusal()

    async def register(self) -> Registration:
        """Refuse, because this engine is a stub."""
        raise _refusal()

    async def shutdown(self, grace: float) -> None:
        """Return at once, because nothing runs."""


def _refusal() -> EngineRefused:
    return EngineRefused(
        "the worker engine 'stepfunctions' is a stub: it defines the interface and runs no job",
        hint="use --engine restate, or see the README of landlord-engines-stepfunctions-stub",
    )


def _create_engine(_: EngineContext) -> StepFunctionsEngine:
    return StepFunctionsEngine()


factory = EngineFactory(
    info=INFO, settings_type=StepFunctionsSettings, create_engine=_create_engine
)
"""The target of the entry point ``stepfunctions``."""
