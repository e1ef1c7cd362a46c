"""The contract of a compute engine: how tenants come to be, change and go on one kind of target.

The rules, beside the signatures: every call is idempotent and safe to repeat after a crash; state
lives on the target (labels and the configuration's hash), never in the process; a tenant's id may
hold any characters and never reaches a shell or a path unescaped; a value out of a configuration
never reaches a log, an error or an identifier.

A step that is cancelled ends at once, but for what `landlord_engines_core.compute.in_flight` names:
each request that changes the target goes through its ``send``, and what puts one resource in the
place of another through its ``switch``.
"""

import abc
from collections.abc import Mapping
from enum import StrEnum
from typing import ClassVar, Protocol

import attrs

__all__ = [
    "ComputeEngine",
    "ComputeFactory",
    "ComputeResult",
    "ComputeSpec",
    "Observation",
    "ResourceState",
]


class ResourceState(StrEnum):
    """What can be seen of a tenant's resource on its target."""

    MISSING = "missing"
    STARTING = "starting"
    HEALTHY = "healthy"
    FAILED = "failed"
    """It is there and will not become healthy by waiting; an update repairs it."""


@attrs.frozen(kw_only=True)
class ComputeSpec:
    """What a tenant is to have.

    Attributes:
        tenant: The stable key of the tenant.
        name: The tenant's name, for people to read; not unique over time.
        location: Where on the target.
        config: The effective configuration, defaults included; may hold secrets.
        config_hash: The hash of ``config``, to be kept beside the resource.
        key_hashes: The hash of each top-level value of ``config``, to be kept where there is room.
    """

    tenant: str
    name: str
    location: str
    config: Mapping[str, object] = attrs.field(repr=False)
    config_hash: str
    key_hashes: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class Observation:
    """What was seen on the target.

    Attributes:
        config_hash: The hash that was kept beside the resource; empty if unknown, see `matches`.
        key_hashes: The hashes by key that were kept, if any.
        resource_ids: What the target calls the resource.
        detail: One sentence for a person, for example why it failed.
    """

    state: ResourceState
    config_hash: str = ""
    key_hashes: Mapping[str, str] = attrs.field(factory=dict)
    resource_ids: Mapping[str, str] = attrs.field(factory=dict)
    detail: str = ""


@attrs.frozen(kw_only=True)
class ComputeResult:
    """What provision and update did.

    Attributes:
        resource_ids: What the target calls the resource.
        changes: What was changed, in words and names of keys, never values.
        rolled_back: Where an update did not take and the former resource serves again: why, without
            values. Empty otherwise.
    """

    resource_ids: Mapping[str, str] = attrs.field(factory=dict)
    changes: tuple[str, ...] = ()
    rolled_back: str = ""


class ComputeEngine(abc.ABC):
    """Makes, changes and removes the resources of tenants on one kind of target.

    All methods that reach the target raise `ComputeRefused` where only another configuration helps
    and `ComputeUnavailable` where another try may.

    Attributes:
        name: The name that tenants choose it by.
        single_location: Whether `location` reads nothing out of a configuration, so that no delete
            waits because its configuration cannot be read.
    """

    name: str
    single_location: ClassVar[bool] = False

    @abc.abstractmethod
    def config_schema(self) -> Mapping[str, object]:
        """The JSON Schema (2020-12) of an effective configuration."""

    @abc.abstractmethod
    def config_defaults(self) -> Mapping[str, object]:
        """The lowest layer of every tenant's configuration, out of the operator's settings."""

    @abc.abstractmethod
    def validate(self, config: Mapping[str, object]) -> None:
        """Check what a schema cannot say, without reaching the target.

        Raises:
            ComputeRefused: With the path of the bad key, never its value.
        """

    @abc.abstractmethod
    def location(self, config: Mapping[str, object]) -> str:
        """Where this configuration puts a tenant; the engine's own location where it names none.

        A delete asks with a configuration that was held against no schema.

        Raises:
            ComputeRefused: It names what can be no location.
        """

    @abc.abstractmethod
    async def inspect(self, tenant: str, location: str) -> Observation:
        """Look at the target. What is not there is an observation, not an error."""

    @abc.abstractmethod
    async def provision(self, spec: ComputeSpec) -> ComputeResult:
        """Make the tenant's resource, adopting one that is already there."""

    @abc.abstractmethod
    async def update(self, spec: ComputeSpec) -> ComputeResult:
        """Bring the tenant's resource to ``spec``; the former one serves again if that fails."""

    @abc.abstractmethod
    async def destroy(self, tenant: str, location: str) -> bool:
        """Remove the tenant's resource.

        Returns:
            Whether there was one. ``False`` is success too.
        """

    @abc.abstractmethod
    async def aclose(self) -> None:
        """Give back connections; the engine is not used afterwards."""

    def validate_defaults(self) -> None:  # noqa: B027  # for those whose schema does not say it all
        """Check of `config_defaults` what a schema cannot say, without reaching the target.

        The worker asks at its start, after it held the defaults against the schema. They need not be
        complete: a tenant's configuration may have what they lack.

        Raises:
            ComputeRefused: With the path of the bad key, never its value.
        """

    @property
    def longest_carry(self) -> float:
        """Seconds from a cancellation until a request and a switch have ended, at most."""
        return 0.0

    @property
    def longest_switch(self) -> float:
        """Seconds that a switch takes where the next resource never becomes healthy.

        A step that is shorter would cut it at each attempt; the worker refuses to start then.
        """
        return 0.0

    async def reach(self) -> str:
        """Reach the target with the operator's own access, and change nothing.

        `landlord-host check` calls it, and the worker at its start and each minute. The caller
        gives it up after 10 seconds. An engine without a target need not define it.

        Returns:
            What answered, in a few words and without secrets; empty where nothing was asked.
        """
        return ""

    async def matches(self, spec: ComputeSpec) -> bool:  # noqa: ARG002  # for those that adopt
        """Whether a resource whose hash is not known is what ``spec`` asks for; looks, changes nothing.

        It is asked where `inspect` shows a resource without a hash, for example one that Landlord's
        own worker made. Where it is so, the resource is left as it is.
        """
        return False

    async def restore(self, tenant: str, location: str) -> bool:  # noqa: ARG002  # for those that switch
        """Put into service what a switch left out of it that nobody went on with.

        It knows no configuration and goes by what is on the target alone. It is called once no act
        of the tenant can be alive.

        Returns:
            Whether anything was done.
        """
        return False


class ComputeFactory(Protocol):
    """What an entry point in ``landlord.compute_engines`` leads to."""

    def __call__(self, settings: Mapping[str, object]) -> ComputeEngine:
        """Make the engine from its section ``compute.<name>``, without reaching the target.

        Raises:
            ComputeRefused: The settings are not accepted.
        """
