"""Choosing a tenant's compute engine and location, and its effective configuration.

The first source that names an engine decides. The sources are the worker's override, the job, Landlord's
API (cached), the tenant's record, the worker's default, and the only engine. The effective
configuration has three layers: the engine's defaults, Landlord's defaults for that engine, and the
tenant's configuration. Maps merge, and every other value replaces.
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
from landlord_engines_core.metrics import CacheMetrics
from landlord_engines_core.models import (
    Job,
    Placement,
    Record,
    Tenant,
    config_hash,
    key_hashes,
    merge,
)

__all__ = ["Resolver"]

_CONTROL_KEYS = ("compute_provider", "compute_provider_type")
"""Keys of a tenant's configuration that choose the engine; the engine does not get them."""


def find_engine_name(config: Mapping[str, object]) -> str:
    """Find the compute engine in a configuration, in labels or in annotations, or empty."""
    for key in _CONTROL_KEYS:
        if isinstance(value := config.get(key), str) and value:
            return value
    return ""


def find_tenant_engine(tenant: Tenant) -> str:
    """Find the compute engine in Landlord's document of a tenant, or empty."""
    sources = (tenant.desired_config, tenant.labels, tenant.annotations)
    return next((name for source in sources if (name := find_engine_name(source))), "")


def _last_engine(record: Record) -> str:
    return record.placements[-1].engine if record.placements else ""


@attrs.define(kw_only=True)
class Resolver:
    """Chooses compute engine, location and configuration of tenants.

    Attributes:
        registry: The compute engines of this worker.
        landlord: Landlord's API; ``None`` if the worker has no address of it.
        force: An engine that overrides every other choice.
        default: The engine for tenants that name none.
        ttl: Seconds for which an answer of Landlord's API is valid; 0 asks each time.
        max_config_bytes: The largest effective configuration, as JSON text.
        logger: Receives a warning for each expired answer that serves.
        metrics: Shows the caches.
    """

    registry: ComputeRegistry
    landlord: LandlordClient | None
    force: str | None
    default: str | None
    ttl: float
    max_config_bytes: int
    logger: Logger
    metrics: CacheMetrics
    _engines: Cache[tuple[str, str], str] = attrs.field(init=False)
    _defaults: Cache[str, Mapping[str, object]] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Create the caches, which all jobs share."""
        self._engines = Cache(ttl=self.ttl)
        self._defaults = Cache(ttl=self.ttl)
        self.metrics.watch("engine", self._engines)
        self.metrics.watch("defaults", self._defaults)

    async def placement(self, job: Job, read_record: Callable[[], Awaitable[Record]]) -> Placement:
        """Choose the compute engine and the location for a job, and check its configuration.

        Args:
            job: A job that provisions or updates.
            read_record: Reads the tenant's record; called only if earlier sources name no engine.

        Raises:
            ComputeRefused: The configuration cannot be read, or the engine refuses it. Or no source
                names an engine of this worker.
            LandlordUnavailable: Landlord's API is needed and gives no usable answer.
        """
        if job.unreadable:
            raise ComputeRefused(job.unreadable, hint="correct the tenant's configuration")
        name = await self._engine_name(job, read_record)
        config = await self.effective_config(name, job.desired_config)
        return Placement(name, self.registry.engine(name).location(config))

    async def placement_named_by(
        self, tenant: Tenant, job: Job, otherwise: Placement | None
    ) -> Placement:
        """Choose the placement for Landlord's document of a tenant.

        Args:
            tenant: The document.
            job: A job with the tenant's configuration.
            otherwise: The placement whose engine counts if the document names none. Without it, the
                worker's default counts.

        Raises:
            ComputeRefused: The worker does not have the engine, or the engine refuses.
            LandlordUnavailable: Landlord's defaults are needed and cannot be read.
        """
        name = self.force or find_tenant_engine(tenant)
        name = name or (otherwise.engine if otherwise is not None else self._default_name())
        config = await self.effective_config(name, job.desired_config)
        return Placement(name, self.registry.engine(name).location(config))

    async def spec(self, job: Job, placement: Placement) -> ComputeSpec:
        """Make the specification of a job's resource at a chosen placement.

        Raises:
            ComputeRefused: The worker does not have the engine, or the engine refuses.
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
        """List where a tenant without a record could have a resource, on all engines.

        These are each engine's default location, and the location that the job's configuration names. If
        the worker cannot read that configuration, it asks Landlord's API.

        Raises:
            ComputeRefused: No source has a readable configuration, which could name a location.
            LandlordUnavailable: Landlord's API gives no usable answer.
        """
        desired = _without_control_keys(await self._readable_config(job))
        candidates: list[Placement] = []
        for name in self.registry:
            engine = self.registry.engine(name)
            defaults = engine.config_defaults()
            for config in (merge(defaults, desired), defaults):
                try:
                    placement = Placement(name, engine.location(config))
                except ComputeRefused:
                    # A delete is never refused: an invalid location has no resource.
                    continue
                if placement not in candidates:
                    candidates.append(placement)
        return tuple(candidates)

    async def effective_config(self, name: str, desired: Mapping[str, object]) -> dict[str, object]:
        """Merge the layers of a configuration, and check the result.

        Raises:
            ComputeRefused: The configuration is too large, or the engine refuses it.
            LandlordUnavailable: Landlord's defaults are needed and cannot be read.
        """
        defaults = self.registry.engine(name).config_defaults()
        base = merge(defaults, await self._read_landlord_defaults(name))
        config = merge(base, _without_control_keys(desired))
        if (size := len(json.dumps(config))) > self.max_config_bytes:
            raise ComputeRefused(
                f"the configuration has {size} bytes, and the limit is {self.max_config_bytes}",
                hint="make the configuration smaller, or raise worker.max_config_bytes",
            )
        self.registry.check(name, config)
        return config

    async def _readable_config(self, job: Job) -> Mapping[str, object]:
        """Return the job's configuration, or Landlord's if the job's cannot be read."""
        if not job.unreadable or not self.registry.has_locations():
            return job.desired_config
        tenant = await self._tenant_to_delete(job)
        if tenant is None:
            raise ComputeRefused(
                "the location of the tenant's resource is unknown: there is no record, and the"
                f" configuration cannot be read: {job.unreadable}",
                hint="correct the tenant's configuration, or send the delete with one that names the"
                " location",
            )
        return tenant.desired_config

    async def _tenant_to_delete(self, job: Job) -> Tenant | None:
        """Read Landlord's document of a tenant; ``None`` if there is none or it is unreadable."""
        if self.landlord is None:
            return None
        try:
            return await self.landlord.tenant(job.tenant, fresh=True)
        except LandlordUnavailable as error:
            if isinstance(error.__cause__, BadDocument):
                return None  # the API returned the same unreadable configuration
            raise

    async def _engine_name(self, job: Job, read_record: Callable[[], Awaitable[Record]]) -> str:
        name = self.force or job.compute_provider or find_engine_name(job.desired_config)
        name = name or await self._ask_landlord(job)
        return name or _last_engine(await read_record()) or self._default_name()

    def _default_name(self) -> str:
        only = next(iter(self.registry), "") if len(self.registry) == 1 else ""
        name = self.default or only
        if not name:
            names = ", ".join(sorted(self.registry)) or "none"
            raise ComputeRefused(
                f"no setting names a compute engine for this tenant, and the worker has {names}",
                hint="set compute_provider in the tenant's configuration, or worker.compute_provider",
            )
        return name

    async def _ask_landlord(self, job: Job) -> str:
        """Ask Landlord's API for the engine, through the cache."""
        if self.landlord is None:
            return ""
        landlord = self.landlord

        async def fetch() -> str:
            tenant = await landlord.tenant(job.tenant)
            return find_tenant_engine(tenant) if tenant is not None else ""

        # With the hash, an entry serves only the configuration that it was read for.
        key = (job.tenant, config_hash(job.desired_config))
        return await self._engines.get(
            key, fetch, tolerate=LandlordUnavailable, on_stale=self._log_stale
        )

    async def _read_landlord_defaults(self, name: str) -> Mapping[str, object]:
        if self.landlord is None:
            return {}
        landlord = self.landlord
        return await self._defaults.get(
            name,
            lambda: landlord.compute_defaults(name),
            tolerate=LandlordUnavailable,
            on_stale=self._log_stale,
        )

    def _log_stale(self, error: Exception) -> None:
        self.logger.warning("using stale cache entry", **error_fields(error))


def _without_control_keys(config: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in config.items() if key not in _CONTROL_KEYS}
