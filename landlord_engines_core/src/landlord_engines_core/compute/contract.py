"""The contract of a compute engine, which manages the resources of tenants on one kind of target.

The rules, beside the signatures:

- Every call is idempotent and safe to repeat after a crash.
- State lives on the target (labels and the configuration's hash), never in the process.
- A tenant's id may contain any characters, and never reaches a shell or a path unescaped.
- A value of a configuration never reaches a log, an error or an identifier.
- Each request that changes the target goes through `in_flight.send`.
- Each replacement of one resource by another goes through `in_flight.switch`.

A cancelled step ends immediately, except for such a request or replacement.
"""

import abc
import hashlib
from collections.abc import Mapping
from enum import StrEnum
from typing import ClassVar

import attrs

__all__ = [
    "ComputeEngine",
    "ComputeResult",
    "ComputeSpec",
    "Observation",
    "ResourceState",
    "digest_of",
]


class ResourceState(StrEnum):
    """State of a tenant's resource on its target."""

    MISSING = "missing"
    STARTING = "starting"
    HEALTHY = "healthy"
    FAILED = "failed"
    """The resource exists and will not become healthy by waiting; an update repairs it."""


@attrs.frozen(kw_only=True)
class ComputeSpec:
    """Specification of a tenant's resource.

    Attributes:
        tenant: The stable key of the tenant.
        name: The tenant's name, for people to read; not unique over time.
        location: The location on the target.
        config: The effective configuration, merged from the engine's defaults, Landlord's defaults
            and the tenant's configuration; may contain secrets.
        config_hash: The hash of ``config``, which the engine keeps beside the resource.
        key_hashes: The hash of each top-level value of ``config``, kept if there is room.
    """

    tenant: str
    name: str
    location: str
    config: Mapping[str, object] = attrs.field(repr=False)
    config_hash: str
    key_hashes: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class Observation:
    """Observation of a tenant's resource.

    Attributes:
        state: The resource's state.
        config_hash: The hash kept beside the resource; empty if unknown, see `matches`.
        key_hashes: The hashes kept by key, if any.
        resource_ids: The target's ids of the resource.
        detail: One sentence for a person, for example why it failed.
    """

    state: ResourceState
    config_hash: str = ""
    key_hashes: Mapping[str, str] = attrs.field(factory=dict)
    resource_ids: Mapping[str, str] = attrs.field(factory=dict)
    detail: str = ""


@attrs.frozen(kw_only=True)
class ComputeResult:
    """Result of a provision or an update.

    Attributes:
        resource_ids: The target's ids of the resource.
        changes: The changes, in words and names of keys, never values.
        rolled_back: Why the previous resource serves again after a failed update, without values;
            empty otherwise.
    """

    resource_ids: Mapping[str, str] = attrs.field(factory=dict)
    changes: tuple[str, ...] = ()
    rolled_back: str = ""


class ComputeEngine(abc.ABC):
    """Manages the resources of tenants on one kind of target.

    Core calls `inspect`, `provision`, `update`, `destroy`, `matches` and `restore` in a step of a job, for
    many tenants at once. For one tenant it makes one call at a time. Another worker may still be in a call
    if that worker was frozen or cut off.

    Each of these calls may be made again at any time, by any worker, also after a kill in the middle of
    it. They all end in one of these ways:

    - They return. Core then inspects the resource until it is healthy, or missing after `destroy`.
    - They raise `ComputeRefused`: only another configuration helps, and the job is held.
    - They raise `ComputeUnavailable`: core calls again after a pause, or after its ``retry_after``.
    - They raise anything else, which is a defect. Core logs its type and its place, never its text, and
      calls again after a pause.
    - Core cancels them, because ``step_timeout`` is over, a younger job preempts theirs, or the worker
      drains. They end at once, apart from a request in `send` and a replacement in `switch`. They leave a
      cancellation alone, and clean up nothing that a later call would not clean up too.

    The other methods reach no target and take no time.

    Attributes:
        single_location: Whether `location` ignores the configuration. No delete then waits for a
            configuration that cannot be read.
    """

    single_location: ClassVar[bool] = False

    @abc.abstractmethod
    def config_schema(self) -> Mapping[str, object]:
        """Return the JSON Schema (2020-12) of an effective configuration.

        It is the same at each call. Core validates a configuration with it before `validate`, except
        for a delete. If it lists ``properties``, core refuses any other key in the operator's section.
        """

    @abc.abstractmethod
    def config_defaults(self) -> Mapping[str, object]:
        """Return the operator's defaults, the lowest layer of every tenant's configuration.

        These are ``ComputeContext.defaults`` in most engines.
        """

    @abc.abstractmethod
    def validate(self, config: Mapping[str, object]) -> None:
        """Check rules that a schema cannot express, without reaching the target.

        Core calls it after the schema accepted ``config``, before each act.

        Raises:
            ComputeRefused: With the path of the bad key, never its value.
        """

    @abc.abstractmethod
    def location(self, config: Mapping[str, object]) -> str:
        """Return the location that a configuration names, or the engine's default location.

        Core keeps it in the tenant's record, and passes it to each later call. It holds no secret. For a
        delete the configuration was not checked against the schema.

        Raises:
            ComputeRefused: The configuration names no valid location.
        """

    @abc.abstractmethod
    async def inspect(self, tenant: str, location: str) -> Observation:
        """Observe the tenant's resource, and change nothing.

        A missing resource is an observation, not an error. Core calls it before each act, and then again
        and again until the resource is healthy or ``worker.health_timeout`` is over.
        """

    @abc.abstractmethod
    async def provision(self, spec: ComputeSpec) -> ComputeResult:
        """Create the tenant's resource, or adopt an existing one.

        An existing resource of another configuration is updated. It need not wait for health.
        """

    @abc.abstractmethod
    async def update(self, spec: ComputeSpec) -> ComputeResult:
        """Bring the tenant's resource to ``spec``, or back to its previous state if that fails.

        It creates a missing resource. If the previous resource serves again, it returns a result with
        ``rolled_back`` and raises nothing. Core then holds the job, and
        that job does not apply this configuration again.
        """

    @abc.abstractmethod
    async def destroy(self, tenant: str, location: str) -> bool:
        """Remove the tenant's resource, and whatever an interrupted call has left of it.

        Returns:
            Whether there was one. ``False`` is success too.
        """

    @abc.abstractmethod
    async def aclose(self) -> None:
        """Close connections. The engine is not used afterwards, and no call is under way.

        An error does not keep the worker from closing its other engines.
        """

    def validate_defaults(self) -> None:  # noqa: B027  # for rules that a schema cannot express
        """Check rules for `config_defaults` that a schema cannot express, without reaching the target.

        The worker calls this at its start, after it checked the defaults against the schema. The
        defaults need not be complete: a tenant's configuration may add what they lack.

        Raises:
            ComputeRefused: With the path of the bad key, never its value.
        """

    @property
    def longest_carry(self) -> float:
        """Maximum seconds from a cancellation until the step's request or switch has ended.

        Core cancels a request that takes longer. It is at most ``worker.step_timeout``.
        """
        return 0.0

    @property
    def longest_switch(self) -> float:
        """Seconds that a switch takes if the next resource never becomes healthy.

        The worker refuses to start with a shorter step timeout, which would cut off each attempt.
        """
        return 0.0

    async def reach(self) -> str:
        """Reach the target with the operator's credentials, and change nothing.

        `landlord-host check` calls this, and the worker at its start and each minute. The caller
        cancels it after 10 seconds. An engine without a target need not define it. A failure ends
        nothing: it shows in ``/readyz``, in a metric and in the log.

        Raises:
            ComputeError: The target does not answer, or refuses the operator's credentials.

        Returns:
            The target's answer in a few words and without secrets; empty if nothing was asked.
        """
        return ""

    async def matches(self, spec: ComputeSpec) -> bool:  # noqa: ARG002  # for engines that adopt
        """Return whether a resource without a known hash equals ``spec``, changing nothing.

        Core calls this if `inspect` returns no hash, for example for a resource of Landlord's own
        worker. If it matches, the resource is left as it is.
        """
        return False

    async def restore(self, tenant: str, location: str) -> bool:  # noqa: ARG002  # for engines that switch
        """Bring a tenant back into service after a switch that was interrupted.

        The engine has no configuration here, and decides by the target alone. Core calls this once
        no step of the tenant can be running.

        Returns:
            Whether anything was changed.
        """
        return False


def digest_of(text: str) -> str:
    """Return the SHA-256 of a text in hex, for ids and names that a target would reject."""
    # A tenant's key comes from JSON and may contain a lone surrogate.
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
