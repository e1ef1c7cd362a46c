from collections.abc import Callable

import pytest

from landlord_engines_core.engine import (
    Capability,
    EngineInfo,
    Registration,
    RegistrationState,
    Support,
    WorkerEngine,
)
from landlord_engines_core.errors import CapabilityNotSupported


class Plain(WorkerEngine):
    """An engine with the three hooks that it must have."""

    info = EngineInfo(name="plain", capabilities={Capability.TENANT_LOCK: Support.FULL})

    async def serve(self, started: Callable[[], None]) -> None:
        started()

    async def register(self) -> Registration:
        return Registration(state=RegistrationState.REGISTERED)

    async def shutdown(self, grace: float) -> None:
        """Nothing runs."""


@pytest.mark.parametrize("hook", ["dry_run_registration", "watch_registration", "make_latest"])
async def test_a_method_of_an_undeclared_capability_reports_it(hook: str) -> None:
    with pytest.raises(CapabilityNotSupported, match="'plain' does not support"):
        await getattr(Plain(), hook)()


def test_a_planned_capability_is_not_supported() -> None:
    info = EngineInfo(name="x", capabilities={Capability.WATCH: Support.PLANNED})

    assert not info.supports(Capability.WATCH)
    assert not info.supports(Capability.TENANT_LOCK)
    assert Plain.info.supports(Capability.TENANT_LOCK)
