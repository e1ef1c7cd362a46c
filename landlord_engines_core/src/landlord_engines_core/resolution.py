"""Which compute engine and location a tenant gets, and with which configuration.

The engine is named by the first of: the worker's override, the job, Landlord's API (cached), the
tenant's record, the worker's default or its only engine. The configuration is layered: the
engine's defaults, Landlord's defaults for that engine, the tenant's own; maps merge, all else
replaces.
"""

import json
from collections.abc import Awaitable, Callable, Mapping

import attrs

from landlord_engines_core.cache import Cache
from landlord_engines_core.codec import BadDocument
from landlord_engines_core.compute import ComputeRegistry, ComputeSpec
from landlord_engines_core.errors import ComputeRefused, LandlordUnavailable
from landlord_engines_core.landlord import LandlordClient
from landlord_engines_core.logs import Logger, error_fields
from landlord_engines_core.metrics import Metrics
from landlord_engines_core.models import (
    Job,
    Placement,
    Record,
    Tenant,
    config_hash,
    key_hashes,
    merge,
)

__all__ = ["Resolver", "merge"]

_CONTROL_KEYS = ("compute_provider", "compute_provider_type")
"""Keys of a tenant's configuration that choose the engine and are not for it."""


def find_engine_name(config: Mapping[str, object]) -> str:
    """The compute engine that a configuration, a label map or an annotation map names, or empty."""
    for key in _CONTROL_KEYS:
        if isinstance(value := config.get(key), str) and value:
            return value
    return ""


def find_tenant_engine(tenant: Tenant) -> str:
    """The compute engine that Landlord's record of a tenant names, or empty."""
    sources = (tenant.desired_config, tenant.labels, tenant.annotations)
    return next((name for source in sources if (name := find_engine_name(source))), "")


def _last_engine(record: Record) -> str:
    return record.placements[-1].engine if record.placements else ""


@attrs.define(kw_only=True)
class Resolver:
    """Finds each tenant's compute engine, location and configuration.

    Attributes:
        registry: The compute engines of this worker.
        landlord: Landlord's API, where the worker has its address.
        force: An engine that overrides every other choice.
        default: The engine for tenants for which nothing else names one.
        ttl: Seconds for which an answer of Landlord's API is used again; 0 asks each time.
        max_config_bytes: The largest effective configuration, as JSON text.
        metrics: Where the caches are shown.
    """

    registry: ComputeRegistry
    landlord: LandlordClient | None
    force: str | None
    default: str | None
    ttl: float
    max_config_bytes: int
    logger: Logger
    metrics: Metrics = attrs.field(factory=Metrics)
    _engines: Cache[tuple[str, str], str] = attrs.field(init=False)
    _defaults: Cache[str, Mapping[str, object]] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Set up the caches; both are shared by all jobs."""
        self._engines = Cache(ttl=self.ttl)
        self._defaults = Cache(ttl=self.ttl)
        self.metrics.watch_cache("engine", self._engines)
        self.metrics.watch_cache("defaults", self._defaults)

    async def placement(self, job: Job, look: Callable[[], Awaitable[Record]]) -> Placement:
        """Choose the compute engine and the location for a job, and check its configuration.

        Args:
            job: A job that provisions or updates.
            look: Reads the tenant's record; called only where the sources before it are silent.

        Raises:
            ComputeRefused: The configuration cannot be read, an engine refuses it, or there is no
                engine, or one that is not here.
            LandlordUnavailable: Landlord's API is needed and gives no usable answer.
        """
        if job.unreadable:
            raise ComputeRefused(job.unreadable, hint="correct the tenant's configuration")
        name = await self._engine_name(job, look)
        config = await self.effective_config(name, job.desired_config)
        return Placement(name, self.registry.engine(name).location(config))

    async def placement_named_by(
        self, tenant: Tenant, job: Job, otherwise: Placement | None
    ) -> Placement:
        """Where Landlord's record of a tenant puts it.

        Args:
            tenant: The record, which was just read.
            job: Its configuration.
            otherwise: Its engine serves where the record names none; without it, the worker's default.

        Raises:
            ComputeRefused: The engine is not here, or refuses the configuration.
            LandlordUnavailable: Landlord's defaults are needed and cannot be read.
        """
        name = self.force or find_tenant_engine(tenant)
        name = name or (otherwise.engine if otherwise is not None else self._default_name())
        config = await self.effective_config(name, job.desired_config)
        return Placement(name, self.registry.engine(name).location(config))

    async def spec(self, job: Job, placement: Placement) -> ComputeSpec:
        """What this job wants at a location that was chosen before.

        Raises:
            ComputeRefused: The engine is not here, or refuses the configuration.
            LandlordUnavailable: Landlord's API is needed and gives no usable answer.
        """
        config = await self.effective_config(placement.engine, job.desired_config)
        return ComputeSpec(
            tenant=job.tenant,
            name=job.name,
            location=placement.location,
            config=config,
            config_hash=config_hash(config),
            key_hashes=key_hashes(config),
        )

    async def candidates(self, job: Job) -> tuple[Placement, ...]:
        """Where a tenant without a record could have a resource: once or twice on each engine.

        It refuses no configuration that can be read, and asks nobody then: one that names no valid
        location is passed over for the engine's own. Of one that cannot, Landlord's API is asked.

        Raises:
            ComputeRefused: The configuration cannot be read, could have named a location that an
                engine has beside its own, and Landlord's API does not tell.
            LandlordUnavailable: Landlord's API gives no usable answer.
        """
        desired = _without_control_keys(await self._readable_config(job))
        found: list[Placement] = []
        for name in self.registry:
            engine = self.registry.engine(name)
            defaults = engine.config_defaults()
            for config in (merge(defaults, desired), defaults):
                try:
                    placement = Placement(name, engine.location(config))
                except ComputeRefused:
                    continue
                if placement not in found:
                    found.append(placement)
        return tuple(found)

    async def effective_config(self, name: str, desired: Mapping[str, object]) -> dict[str, object]:
        """Layer and check the configuration that an engine gets.

        Raises:
            ComputeRefused: It is too large, or the engine refuses it.
            LandlordUnavailable: Landlord's defaults are needed and cannot be read.
        """
        defaults = self.registry.engine(name).config_defaults()
        below = merge(defaults, await self._landlords_defaults(name))
        config = merge(below, _without_control_keys(desired))
        if (size := len(json.dumps(config))) > self.max_config_bytes:
            raise ComputeRefused(
                f"the configuration has {size} bytes, the limit is {self.max_config_bytes}",
                hint="make it smaller, or raise worker.max_config_bytes",
            )
        self.registry.check(name, config)
        return config

    async def _readable_config(self, job: Job) -> Mapping[str, object]:
        """The job's configuration, or what Landlord's API says where that cannot be read."""
        if not job.unreadable or not self.registry.has_locations():
            return job.desired_config
        tenant = await self._tenant_to_delete(job)
        if tenant is None:
            raise ComputeRefused(
                f"no record tells where the tenant's resource is, and its configuration cannot be read:"
                f" {job.unreadable}",
                hint="correct the tenant's configuration, or send the delete with one that names its"
                " location",
            )
        return tenant.desired_config

    async def _tenant_to_delete(self, job: Job) -> Tenant | None:
        """Landlord's record of a tenant; ``None`` where it does not know or cannot be read."""
        if self.landlord is None:
            return None
        try:
            return await self.landlord.tenant(job.tenant, fresh=True)
        except LandlordUnavailable as error:
            if isinstance(error.__cause__, BadDocument):
                return None  # the API shows the same configuration
            raise

    async def _engine_name(self, job: Job, look: Callable[[], Awaitable[Record]]) -> str:
        name = self.force or job.compute_provider or find_engine_name(job.desired_config)
        name = name or await self._asked(job)
        return name or _last_engine(await look()) or self._default_name()

    def _default_name(self) -> str:
        only = next(iter(self.registry), "") if len(self.registry) == 1 else ""
        name = self.default or only
        if not name:
            has = ", ".join(sorted(self.registry)) or "none"
            raise ComputeRefused(
                f"nothing names a compute engine for this tenant, and the worker has {has}",
                hint="set compute_provider in the tenant's configuration, or worker.compute_provider",
            )
        return name

    async def _asked(self, job: Job) -> str:
        """Ask Landlord's API, through the cache: the entry serves only this configuration."""
        if self.landlord is None:
            return ""
        landlord = self.landlord

        async def ask() -> str:
            tenant = await landlord.tenant(job.tenant)
            return find_tenant_engine(tenant) if tenant is not None else ""

        key = (job.tenant, config_hash(job.desired_config))
        return await self._engines.get(key, ask, stale_on=LandlordUnavailable, stale=self._stale)

    async def _landlords_defaults(self, name: str) -> Mapping[str, object]:
        if self.landlord is None:
            return {}
        landlord = self.landlord
        return await self._defaults.get(
            name,
            lambda: landlord.compute_defaults(name),
            stale_on=LandlordUnavailable,
            stale=self._stale,
        )

    def _stale(self, error: Exception) -> None:
        self.logger.warning("using stale cache entry", **error_fields(error))


def _without_control_keys(config: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in config.items() if key not in _CONTROL_KEYS}
