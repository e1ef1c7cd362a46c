"""Reachability of the compute engines' targets, checked at the start and periodically."""

import asyncio
import math
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import attrs

from landlord_engines_core.compute.contract import ComputeEngine
from landlord_engines_core.compute.registry import ComputeRegistry
from landlord_engines_core.errors import ComputeError, ComputeUnavailable
from landlord_engines_core.logs import Logger, error_fields
from landlord_engines_core.plugin_calls import ErrorBoundary

__all__ = ["REACH_INTERVAL", "REACH_TIMEOUT", "TargetStatus", "Targets", "reach"]

REACH_TIMEOUT = 10.0
"""Seconds that an engine has to reach its target."""

REACH_INTERVAL = 60.0
"""Seconds between two checks; a cloud limits the rate of calls to its API."""


@attrs.frozen(kw_only=True)
class TargetStatus:
    """Result of one check of an engine's target.

    Attributes:
        detail: The target's answer in words; empty for an engine without a target.
        error: Why the target cannot be used.
    """

    detail: str = ""
    error: ComputeError | None = None

    @property
    def is_reached(self) -> bool:
        """Whether the engine reached its target."""
        return self.error is None


async def reach(name: str, engine: ComputeEngine, timeout: float = REACH_TIMEOUT) -> TargetStatus:  # noqa: ASYNC109  # a default for all callers
    """Have the engine of this name reach its target, and return any error."""
    boundary = ErrorBoundary(engine=f"compute engine {name}", failure=ComputeUnavailable)
    try:
        async with asyncio.timeout(timeout):
            with boundary.call("reach"):
                return TargetStatus(detail=await engine.reach())
    except ComputeError as error:
        return TargetStatus(error=error)
    except TimeoutError:
        message = f"the target of the compute engine {name} gave no answer in {timeout:g} s"
        return TargetStatus(error=ComputeUnavailable(message, hint=f"check compute.{name}"))


@attrs.define(kw_only=True)
class Targets:
    """The targets of one worker's compute engines.

    Attributes:
        registry: The compute engines.
        logger: Logs each changed status.
        interval: Seconds between two checks of all targets.
        statuses: The last status of each target.
    """

    registry: ComputeRegistry
    logger: Logger
    interval: float = REACH_INTERVAL
    statuses: Mapping[str, TargetStatus] = attrs.field(factory=dict, init=False)

    async def check(self) -> Mapping[str, TargetStatus]:
        """Check all targets concurrently, and log each changed status."""
        names = tuple(self.registry)
        statuses = await asyncio.gather(
            *(reach(name, self.registry.engine(name)) for name in names)
        )
        before, self.statuses = self.statuses, dict(zip(names, statuses, strict=True))
        for name, status in self.statuses.items():
            if name not in before or str(before[name].error) != str(status.error):
                self._log(name, status)
        return self.statuses

    def gauge_value(self, name: str) -> float:
        """Return 1 if the last check reached the target, 0 if not, NaN before the first check."""
        status = self.statuses.get(name)
        return math.nan if status is None else float(status.is_reached)

    @asynccontextmanager
    async def watch(self) -> AsyncIterator[None]:
        """Check the targets now and at each interval, until the context is left."""
        task = asyncio.create_task(self._check_periodically())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait((task,))

    async def _check_periodically(self) -> None:
        while True:
            await self.check()
            await asyncio.sleep(self.interval)

    def _log(self, name: str, status: TargetStatus) -> None:
        if status.error is None:
            self.logger.info("target reached", compute_engine=name, detail=status.detail)
        else:
            self.logger.warning(
                "target not reached", compute_engine=name, **error_fields(status.error)
            )
