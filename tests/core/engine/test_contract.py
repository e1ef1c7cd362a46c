from collections.abc import Callable
from typing import Any

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
    """An engine with the three required hooks only."""

    async def serve(self, started: Callable[[], None]) -> None:
        started()

    async def register(self) -> Registration:
        return Registration(state=RegistrationState.REGISTERED)

    async def shutdown(self, grace: float) -> None:
        """Nothing runs."""


@pytest.mark.parametrize("hook", ["dry_run_registration", "watch_registration", "make_latest"])
async def test_a_method_of_an_undeclared_capability_reports_it(hook: str) -> None:
    with pytest.raises(CapabilityNotSupported, match="this worker engine does not support"):
        await getattr(Plain(), hook)()


@pytest.mark.parametrize(
    "call",
    [
        lambda engine: engine.list_tenants(),
        lambda engine: engine.read_tenant("t"),
        lambda engine: engine.retry_job("1"),
    ],
    ids=["list_tenants", "read_tenant", "retry_job"],
)
async def test_an_undeclared_method_about_tenants_reports_it(
    call: Callable[[WorkerEngine], Any],
) -> None:
    with pytest.raises(CapabilityNotSupported, match="this worker engine does not support"):
        await call(Plain())


def test_a_planned_capability_is_not_supported() -> None:
    capabilities = {Capability.WATCH: Support.PLANNED, Capability.TENANT_LOCK: Support.FULL}
    info = EngineInfo(name="x", contract=1, capabilities=capabilities)

    assert not info.supports(Capability.WATCH)
    assert not info.supports(Capability.MOVE)
    assert info.supports(Capability.TENANT_LOCK)


def test_a_call_that_needs_what_is_not_declared_is_refused_by_the_engines_name() -> None:
    info = EngineInfo(name="plain", contract=1, capabilities={Capability.MOVE: Support.FULL})

    info.require(Capability.MOVE)
    with pytest.raises(CapabilityNotSupported, match="'plain' does not support 'make-latest'"):
        info.require(Capability.MAKE_LATEST)
