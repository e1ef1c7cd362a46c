"""Playing the live checks, each with a backend of its own."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from landlord_engines_core.conformance.live.bench import Bench, open_bench
from landlord_engines_core.conformance.live.job_checks import JOB_CHECKS
from landlord_engines_core.conformance.live.lock_checks import LOCK_CHECKS
from landlord_engines_core.conformance.static import import_engine
from landlord_engines_core.conformance.story import CannotRun, DoesNotApply
from landlord_engines_core.conformance.subject import Check, Subject
from landlord_engines_core.conformance.worker_rules import WORKER_RULES
from landlord_engines_core.engine import Capability, EngineInfo

__all__ = ["list_live_checks"]


def list_live_checks() -> dict[str, Check]:
    """List the live checks of worker engines, by the id of the rule."""
    capabilities = {rule.id: rule.capability for rule in WORKER_RULES}
    return {
        rule: partial(_play, check, capabilities[rule])
        for rule, check in {**JOB_CHECKS, **LOCK_CHECKS}.items()
    }


def _play(
    check: Callable[[Bench], Awaitable[str | None]], capability: str, subject: Subject
) -> str | None:
    # The backend is part of the engine: this process has to import it, too.
    imported = import_engine(subject)
    if imported.refusal or not isinstance(imported.info, EngineInfo):
        raise CannotRun(f"the engine cannot be loaded: {imported.refusal}")
    if capability and not imported.info.supports(Capability(capability)):
        raise DoesNotApply(f"the engine does not declare {capability} in full")
    return asyncio.run(_play_here(check, subject))


async def _play_here(
    check: Callable[[Bench], Awaitable[str | None]], subject: Subject
) -> str | None:
    async with open_bench(subject) as bench:
        return await check(bench)
