"""A compute engine whose methods are called inside the error boundary of `plugin_calls`."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

import attrs

from landlord_engines_core.compute.contract import (
    ComputeEngine,
    ComputeResult,
    ComputeSpec,
    Observation,
)
from landlord_engines_core.errors import ComputeDefect
from landlord_engines_core.plugin_calls import ErrorBoundary, ignore_time
from landlord_engines_core.tracing import trace_span

__all__ = ["GuardedCompute", "build_compute_boundary"]


def build_compute_boundary(
    name: str, observe: Callable[[str, float], None] = ignore_time
) -> ErrorBoundary:
    """Build the error boundary of a compute engine.

    Args:
        name: The engine's name.
        observe: Gets the duration of each call.
    """
    # A deep configuration causes a RecursionError, which is no defect of the engine.
    return ErrorBoundary(
        engine=f"compute engine {name}",
        failure=ComputeDefect,
        allowed_errors=(RecursionError,),
        observe=observe,
    )


@attrs.frozen
class GuardedCompute(ComputeEngine):
    """Compute engine whose methods are called inside the boundary; calls for a tenant have a span."""

    name: str
    engine: ComputeEngine
    boundary: ErrorBoundary

    @property
    def single_location(self) -> bool:  # type: ignore[override]  # the engine's own
        """The engine's ``single_location``."""
        return self.engine.single_location

    @property
    def longest_carry(self) -> float:
        """The engine's ``longest_carry``."""
        with self.boundary.call("longest_carry"):
            return self.engine.longest_carry

    @property
    def longest_switch(self) -> float:
        """The engine's ``longest_switch``."""
        with self.boundary.call("longest_switch"):
            return self.engine.longest_switch

    def config_schema(self) -> Mapping[str, object]:
        """Call the engine's ``config_schema``."""
        with self.boundary.call("config_schema"):
            return self.engine.config_schema()

    def config_defaults(self) -> Mapping[str, object]:
        """Call the engine's ``config_defaults``."""
        with self.boundary.call("config_defaults"):
            return self.engine.config_defaults()

    def validate(self, config: Mapping[str, object]) -> None:
        """Call the engine's ``validate``."""
        with self.boundary.call("validate"):
            self.engine.validate(config)

    def validate_defaults(self) -> None:
        """Call the engine's ``validate_defaults``."""
        with self.boundary.call("validate_defaults"):
            self.engine.validate_defaults()

    def location(self, config: Mapping[str, object]) -> str:
        """Call the engine's ``location``."""
        with self.boundary.call("location"):
            return self.engine.location(config)

    async def inspect(self, tenant: str, location: str) -> Observation:
        """Call the engine's ``inspect``."""
        with self._trace("inspect"), self.boundary.call("inspect"):
            return await self.engine.inspect(tenant, location)

    async def provision(self, spec: ComputeSpec) -> ComputeResult:
        """Call the engine's ``provision``."""
        with self._trace("provision"), self.boundary.call("provision"):
            return await self.engine.provision(spec)

    async def update(self, spec: ComputeSpec) -> ComputeResult:
        """Call the engine's ``update``."""
        with self._trace("update"), self.boundary.call("update"):
            return await self.engine.update(spec)

    async def destroy(self, tenant: str, location: str) -> bool:
        """Call the engine's ``destroy``."""
        with self._trace("destroy"), self.boundary.call("destroy"):
            return await self.engine.destroy(tenant, location)

    async def reach(self) -> str:
        """Call the engine's ``reach``."""
        with self.boundary.call("reach"):
            return await self.engine.reach()

    async def matches(self, spec: ComputeSpec) -> bool:
        """Call the engine's ``matches``."""
        with self._trace("matches"), self.boundary.call("matches"):
            return await self.engine.matches(spec)

    async def restore(self, tenant: str, location: str) -> bool:
        """Call the engine's ``restore``."""
        with self._trace("restore"), self.boundary.call("restore"):
            return await self.engine.restore(tenant, location)

    async def aclose(self) -> None:
        """Call the engine's ``aclose``."""
        with self.boundary.call("aclose"):
            await self.engine.aclose()

    def _trace(self, method: str) -> AbstractContextManager[None]:
        return trace_span(f"{self.name}: {method}", {"landlord.compute_engine": self.name})
