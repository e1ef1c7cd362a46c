"""The compute engine ``mock``: resources are entries in a dictionary, for tests and first steps.

No other engine loses its state with the process.
"""

from collections.abc import Mapping
from typing import ClassVar

import attrs

from landlord_engines_core.compute.contract import (
    ComputeEngine,
    ComputeResult,
    ComputeSpec,
    Observation,
    ResourceState,
)
from landlord_engines_core.compute.factory import (
    ComputeContext,
    ComputeEngineFactory,
    ComputeEngineInfo,
)

__all__ = ["MockCompute", "MockSettings", "factory"]


@attrs.frozen(kw_only=True)
class MockSettings:
    """The operator's settings: none. Each key of the section ``compute.mock`` is a default."""


@attrs.frozen
class MockCompute(ComputeEngine):
    """Specifications of tenants in memory, all of them healthy."""

    defaults: Mapping[str, object] = attrs.field(factory=dict, repr=False)
    resources: dict[str, ComputeSpec] = attrs.field(factory=dict, repr=False)
    single_location: ClassVar[bool] = True

    def config_schema(self) -> Mapping[str, object]:
        """Return a schema that accepts everything, as Landlord's mock provider does."""
        return {}

    def config_defaults(self) -> Mapping[str, object]:
        """Return the section ``compute.mock`` as it is."""
        return self.defaults

    def validate(self, config: Mapping[str, object]) -> None:
        """Accept everything."""

    def location(self, config: Mapping[str, object]) -> str:  # noqa: ARG002  # the contract's signature
        """Return the only location."""
        return ""

    async def inspect(self, tenant: str, location: str) -> Observation:  # noqa: ARG002  # as above
        """Look the tenant up in the dictionary."""
        if (spec := self.resources.get(tenant)) is None:
            return Observation(state=ResourceState.MISSING)
        return Observation(
            state=ResourceState.HEALTHY,
            config_hash=spec.config_hash,
            key_hashes=spec.key_hashes,
            resource_ids={"tenant": tenant},
        )

    async def provision(self, spec: ComputeSpec) -> ComputeResult:
        """Put the specification into the dictionary."""
        self.resources[spec.tenant] = spec
        return ComputeResult(resource_ids={"tenant": spec.tenant})

    async def update(self, spec: ComputeSpec) -> ComputeResult:
        """Replace the specification in the dictionary."""
        return await self.provision(spec)

    async def destroy(self, tenant: str, location: str) -> bool:  # noqa: ARG002  # as above
        """Take the specification out of the dictionary."""
        return self.resources.pop(tenant, None) is not None

    async def aclose(self) -> None:
        """Do nothing: there is no connection."""


def _create(context: ComputeContext) -> MockCompute:
    return MockCompute(context.defaults)


factory = ComputeEngineFactory(
    info=ComputeEngineInfo(name="mock", contract=1),
    settings_type=MockSettings,
    create_engine=_create,
)
