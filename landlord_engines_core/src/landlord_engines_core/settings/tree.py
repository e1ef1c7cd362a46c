"""The tree of settings. A worker engine defines its own section."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import attrs

from landlord_engines_core.errors import SettingsError
from landlord_engines_core.settings.types import Address, Duration, LogLevel, Url

__all__ = [
    "ComputeSection",
    "LogSettings",
    "Settings",
    "WorkerSettings",
    "attribute",
    "check_section",
    "tree_for",
]

DEFAULT_CACHE_TTL = Duration(300.0)


@attrs.frozen(kw_only=True)
class LogSettings:
    """The section ``log``, which Landlord has too.

    Attributes:
        level: The lowest level that is logged.
        format: development or console for people, production or json for machines. auto means console
            on a terminal, and json elsewhere.
    """

    level: LogLevel = LogLevel("info")
    format: Literal["auto", "development", "console", "production", "json"] = "auto"


@attrs.frozen(kw_only=True)
class WorkerSettings:
    """The section ``worker``, which Landlord does not have.

    Attributes:
        landlord_api_url: Landlord's API; without it, the worker asks Landlord nothing. An engine's
            worker_landlord_api_url fills it.
        compute_provider: The compute engine for tenants that name none. An engine's
            worker_compute_provider fills it.
        force_compute_provider: A compute engine that overrides every other choice, for tests.
        compute_cache_ttl: How long an answer of Landlord's API is valid, 5m by default; 0 asks each
            time. An engine's worker_compute_cache_ttl fills it.
        probe_address: The address of the probes and the metrics; empty for none.
        drain_timeout: How long running steps may take to end after the first signal.
        step_timeout: How long a step may run before it is given up, to be entered again.
        health_timeout: How long a resource may take to become healthy.
        hold_retry_interval: The pause between two attempts of a held job.
        registration_check_interval: The pause between two checks of the registration.
        register_timeout: How long --fail-fast tries to register.
        resync_after: How long after a job has started its tenant is resynced; 0 for never. It has to
            be longer than Landlord's poll interval.
        history_retention: How long the record of a deleted tenant is kept.
        max_concurrent_jobs: How many jobs change targets at once. The step_timeout of a waiting job
            starts with its slot. Restate shows LE407 for such a job, although nothing failed.
        max_config_bytes: The largest effective configuration, as JSON text.
        on_permanent_failure: hold keeps a refused job until its configuration changes. fail ends it,
            and Landlord reads that as a success.
    """

    landlord_api_url: Url | None = None
    compute_provider: str | None = None
    force_compute_provider: str | None = None
    compute_cache_ttl: Duration | None = None
    probe_address: Address = Address("127.0.0.1:9082")
    drain_timeout: Duration = Duration(30.0)
    step_timeout: Duration = Duration(300.0)
    health_timeout: Duration = Duration(60.0)
    hold_retry_interval: Duration = Duration(30.0)
    registration_check_interval: Duration = Duration(10.0)
    register_timeout: Duration = Duration(60.0)
    resync_after: Duration = Duration(60.0)
    history_retention: Duration = Duration(30 * 86400.0)
    max_concurrent_jobs: int = 100
    max_config_bytes: int = 256 * 1024
    on_permanent_failure: Literal["hold", "fail"] = "hold"

    def check(self) -> None:
        """Check the numbers that must not be zero.

        Raises:
            SettingsError: A number is zero; the message names its key.
        """
        for key in (
            "step_timeout",
            "health_timeout",
            "hold_retry_interval",
            "registration_check_interval",
            "register_timeout",
            "max_concurrent_jobs",
            "max_config_bytes",
        ):
            if getattr(self, key) <= 0:
                raise SettingsError(f"worker.{key} must be above zero")


@attrs.frozen(kw_only=True)
class ComputeSection:
    """Section of one compute engine.

    Attributes:
        settings: The operator's settings, an instance of the engine's ``settings_type``; ``None`` if
            the engine could not be loaded.
        defaults: The other keys: the operator's defaults for tenants' configurations.
    """

    settings: Any
    defaults: Mapping[str, object] = attrs.field(factory=dict, repr=False)


@attrs.frozen(kw_only=True)
class Settings:
    """All settings of one run.

    Attributes:
        engine: The worker engine's section, an instance of its ``settings_type``.
        compute: The section of each compute engine of this worker.
    """

    engine: Any
    compute: Mapping[str, ComputeSection]
    log: LogSettings
    worker: WorkerSettings


def check_section(section: object) -> None:
    """Call the method ``check`` of an engine's settings, if their class has one.

    Raises:
        SettingsError: The settings do not fit together.
    """
    checks: Callable[[], None] | None = getattr(section, "check", None)
    if checks is not None:
        checks()


def attribute(engine: str) -> str:
    """Turn an engine's name into the name of its section's attribute."""
    return engine.replace("-", "_")


def tree_for(engine: str, settings_type: type) -> type:
    """Create the class of the whole tree, with this engine's section in it."""
    # Created at run time: only then the engine, and so the class of its section, is known.
    workflow = attrs.make_class(
        "WorkflowSettings",
        {
            "default_provider": attrs.field(type=str, default=""),
            attribute(engine): attrs.field(type=settings_type, factory=settings_type),
        },
        frozen=True,
        kw_only=True,
    )
    return attrs.make_class(
        "Tree",
        {
            "log": attrs.field(type=LogSettings, factory=LogSettings),
            "workflow": attrs.field(type=workflow, factory=workflow),
            "worker": attrs.field(type=WorkerSettings, factory=WorkerSettings),
        },
        frozen=True,
        kw_only=True,
    )
