"""The factory of a compute engine, and the context from which it creates the engine."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from contextlib import AbstractContextManager, nullcontext
from contextvars import copy_context
from functools import partial
from typing import Any, ParamSpec, TypeVar

import attrs

from landlord_engines_core.compute.contract import ComputeEngine
from landlord_engines_core.logs import Logger

__all__ = [
    "COMPUTE_CONTRACT",
    "ComputeContext",
    "ComputeEngineFactory",
    "ComputeEngineInfo",
    "ComputeLimits",
    "TimeRequest",
    "pass_untimed",
]

P = ParamSpec("P")
T = TypeVar("T")

COMPUTE_CONTRACT = 1
"""Major version of this contract; the group ``landlord.compute_engines`` belongs to it."""

TimeRequest = Callable[[str], AbstractContextManager[object]]
"""Times one request to the target, by the request's name."""


def pass_untimed(_: str) -> AbstractContextManager[object]:
    """Time nothing: the default outside of a worker."""
    return nullcontext()


@attrs.frozen(kw_only=True)
class ComputeEngineInfo:
    """Description of a compute engine, for `landlord-host engines` and the host's checks.

    Attributes:
        name: The name of its entry point, by which tenants choose the engine.
        contract: The major version of the contract that it implements. Write a number:
            `COMPUTE_CONTRACT` is the installed core's version.
    """

    name: str
    contract: int


@attrs.frozen(kw_only=True)
class ComputeLimits:
    """Limits of the worker that an engine has to keep within; times are seconds.

    Attributes:
        step_timeout: How long one call may take. Then the worker cancels it, and a later attempt
            calls again.
    """

    step_timeout: float = 300.0


@attrs.frozen(kw_only=True)
class ComputeContext:
    """All that a compute engine gets from its worker.

    Only ``settings`` and ``logger`` have no default, so that a test can write a context in a line.

    Attributes:
        settings: The operator's settings, an instance of the factory's ``settings_type``.
        defaults: The other keys of the section ``compute.<name>``: the operator's defaults for
            tenants' configurations. They may contain secrets.
        logger: A logger. Its lines carry the tenant and the job of the current call.
        limits: The worker's limits.
        time_request: Context manager around one request to the target. The worker's metrics and traces
            show its duration and whether it failed, by the name, for example ``create the container``.
            A name is a word of a fixed set, and never a tenant or an id.
        threads: The threads of `run_in_thread`; ``None`` for those of the event loop.
    """

    settings: Any
    defaults: Mapping[str, object] = attrs.field(factory=dict, repr=False)
    logger: Logger
    limits: ComputeLimits = ComputeLimits()
    time_request: TimeRequest = pass_untimed
    threads: Executor | None = None

    async def run_in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run blocking work in a thread of this engine, and return its result.

        A thread cannot be stopped: a cancellation leaves it running and waits for nothing. Work that
        changes the target goes through `send`, which waits for it:
        ``send(lambda: context.run_in_thread(work))``.
        """
        # Not the event loop's own threads: a target that hangs would take the threads that resolve
        # host names, for all engines.
        call = partial(copy_context().run, work, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self.threads, call)


@attrs.frozen(kw_only=True)
class ComputeEngineFactory:
    """Factory of a compute engine: the target of its entry point in ``landlord.compute_engines``.

    Attributes:
        info: The engine's name and contract. The host reads them without any settings.
        settings_type: The attrs class of the operator's settings in the section ``compute.<name>``.
            Core loads and prints it, and calls its method ``check()``, if any, which may raise
            SettingsError. All other keys of the section are defaults for tenants.
        create_engine: Creates the engine without reaching the target. May raise SettingsError, or
            ComputeRefused for bad defaults.
    """

    info: ComputeEngineInfo
    settings_type: type
    create_engine: Callable[[ComputeContext], ComputeEngine]
