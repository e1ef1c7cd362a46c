"""Whether the targets of the compute engines can be reached: asked at the start, and from then on."""

import asyncio
import math
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import attrs

from landlord_engines_core.compute.contract import ComputeEngine
from landlord_engines_core.compute.registry import ComputeRegistry
from landlord_engines_core.errors import ComputeError, ComputeUnavailable
from landlord_engines_core.logs import Logger, error_fields

__all__ = ["REACH_INTERVAL", "REACH_TIMEOUT", "TargetStatus", "Targets", "reach"]

REACH_TIMEOUT = 10.0
"""Seconds that an engine has to reach its target."""

REACH_INTERVAL = 60.0
"""Seconds between two looks; a cloud's API counts them."""


@attrs.frozen(kw_only=True)
class TargetStatus:
    """What came of reaching one engine's target.

    Attributes:
        detail: What the engine says of its target; empty where it has nothing to reach.
        error: Why the target cannot be used.
    """

    detail: str = ""
    error: ComputeError | None = None

    @property
    def is_reached(self) -> bool:
        """Whether tenants can be put there, as far as that can be seen."""
        return self.error is None


async def reach(engine: ComputeEngine, timeout: float = REACH_TIMEOUT) -> TargetStatus:  # noqa: ASYNC109  # it is a bound of ours, not the caller's
    """Have an engine reach its target, whatever it raises, within ``timeout`` seconds."""
    try:
        async with asyncio.timeout(timeout):
            return TargetStatus(detail=await engine.reach())
    except ComputeError as error:
        return TargetStatus(error=error)
    except TimeoutError:
        told = f"the target of the compute engine {engine.name} gave no answer in {timeout:g} s"
        return TargetStatus(error=ComputeUnavailable(told, hint=f"check compute.{engine.name}"))
    except Exception as error:  # noqa: BLE001  # its text may hold a value out of the settings
        told = f"compute engine {engine.name} cannot reach its target: {type(error).__name__}"
        return TargetStatus(
            error=ComputeUnavailable(told, hint="report it to the authors of the engine")
        )


@attrs.define(kw_only=True)
class Targets:
    """The targets of one worker's compute engines.

    Attributes:
        registry: The compute engines.
        logger: Told of each status that is new.
        interval: Seconds between two looks at all of them.
        statuses: What the last look at each target has shown.
    """

    registry: ComputeRegistry
    logger: Logger
    interval: float = REACH_INTERVAL
    statuses: Mapping[str, TargetStatus] = attrs.field(factory=dict, init=False)

    async def look(self) -> Mapping[str, TargetStatus]:
        """Reach all targets at once; logs each whose status differs from the one before."""
        names = tuple(self.registry)
        found = await asyncio.gather(*(reach(self.registry.engine(name)) for name in names))
        before, self.statuses = self.statuses, dict(zip(names, found, strict=True))
        for name, status in self.statuses.items():
            if name not in before or str(before[name].error) != str(status.error):
                self._log(name, status)
        return self.statuses

    def reached(self, name: str) -> float:
        """1 where the last look reached the target, 0 where not; NaN before the first look."""
        status = self.statuses.get(name)
        return math.nan if status is None else float(status.is_reached)

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Look at the targets at once, and each interval, for as long as this is entered."""
        watching = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.wait((watching,))

    async def _watch(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(self.interval)

    def _log(self, name: str, status: TargetStatus) -> None:
        if status.error is None:
            self.logger.info("target reached", compute_engine=name, detail=status.detail)
        else:
            self.logger.warning(
                "target not reached", compute_engine=name, **error_fields(status.error)
            )
