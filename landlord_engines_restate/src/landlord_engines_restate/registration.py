"""Announcing the worker to Restate, and knowing whether it still is.

A deployment's metadata carries a digest of the manifest: a server that is asked to register a URL
that it knows does not read the manifest again, so that it takes the digest to see a change.
"""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

import attrs

from landlord_engines_core.engine import Registration, RegistrationState
from landlord_engines_core.errors import RegistrationFailed, RegistrationRefused
from landlord_engines_core.logs import Logger
from landlord_engines_restate.admin import (
    AdminClient,
    AdminRefused,
    AdminUnavailable,
    Deployment,
    RegisteredService,
)

__all__ = ["DIGEST_KEY", "Expected", "Registrar", "as_kept"]

DIGEST_KEY = "landlord-engines/manifest"
"""The key of the manifest's digest in a deployment's metadata."""

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")


@attrs.frozen(kw_only=True)
class Expected:
    """What a service must look like once it is registered; times are seconds."""

    name: str
    handlers: frozenset[str]
    abort_timeout: float
    idempotency_retention: float
    journal_retention: float
    max_interval: float
    max_attempts: int


@attrs.frozen(kw_only=True)
class Registrar:
    """Registers one worker.

    Attributes:
        admin: Restate's admin API.
        uri: Where Restate reaches the worker.
        digest: Of the worker's manifest.
        services: What the worker serves; the first is the one that Landlord calls.
        on_startup: Whether to register at all, or to leave that to the operator.
        known: The names of those services that the server was seen to know.
    """

    admin: AdminClient
    uri: str
    digest: str
    services: tuple[Expected, ...]
    on_startup: bool
    logger: Logger
    known: set[str] = attrs.field(factory=set)

    async def register(self) -> Registration:
        """Make the server know this worker as it is now.

        Raises:
            RegistrationFailed: The server, or the worker from the server, cannot be reached.
            RegistrationRefused: Registering would harm running jobs, or did not take.
        """
        if not self.on_startup:
            return await self.look()
        try:
            ours = await self._ours()
            if ours is None or ours.metadata.get(DIGEST_KEY) != self.digest:
                await self._refuse_if_handlers_went(ours)
                await self._send(force=ours is not None, dry_run=False)
                self.logger.info("registered with Restate", uri=self.uri, admin=self.admin.url)
            return await self._read_back()
        except (AdminUnavailable, AdminRefused) as error:
            raise RegistrationFailed(error.message, hint=error.hint) from error

    async def dry_run(self) -> Registration:
        """Say what `register` would do."""
        try:
            ours = await self._ours()
            if ours is not None and ours.metadata.get(DIGEST_KEY) == self.digest:
                return await self.look()
            await self._refuse_if_handlers_went(ours)
            await self._send(force=ours is not None, dry_run=True)
        except (AdminUnavailable, AdminRefused) as error:
            raise RegistrationFailed(error.message, hint=error.hint) from error
        deed = "update" if ours is not None else "add"
        return Registration(
            state=RegistrationState.GONE,
            detail=f"a registration would {deed} the deployment {self.uri}",
        )

    async def make_latest(self) -> Registration:
        """Have new jobs sent here, whatever is registered beside."""
        try:
            await self._refuse_if_handlers_went(await self._ours())
            await self._send(force=True, dry_run=False)
            return await self._read_back()
        except (AdminUnavailable, AdminRefused) as error:
            raise RegistrationFailed(error.message, hint=error.hint) from error

    async def look(self) -> Registration:
        """Ask once what the server knows of this worker; never raises for an unreachable one."""
        try:
            ours = await self._ours()
            if ours is None:
                detail = f"Restate at {self.admin.url} has no deployment {self.uri}"
                return Registration(state=RegistrationState.GONE, detail=detail)
            for expected in self.services[1:]:
                if expected.name not in self.known:
                    await self._service(expected)
            return self._state(ours, await self._service(self.services[0]))
        except (AdminUnavailable, AdminRefused) as error:
            return Registration(state=RegistrationState.UNKNOWN, detail=error.message)

    async def _ours(self) -> Deployment | None:
        uri = as_kept(self.uri)
        found = (one for one in await self.admin.deployments() if as_kept(one.uri) == uri)
        return next(found, None)

    async def _send(self, *, force: bool, dry_run: bool) -> None:
        metadata = {DIGEST_KEY: self.digest}
        try:
            await self.admin.register(self.uri, force=force, dry_run=dry_run, metadata=metadata)
        except AdminRefused as error:
            raise RegistrationFailed(
                error.message,
                hint=f"check that Restate reaches {self.uri} (workflow.restate."
                "worker_advertised_url) and trusts the same identity keys",
            ) from error

    async def _refuse_if_handlers_went(self, ours: Deployment | None) -> None:
        """Updating a deployment breaks the jobs in it that wait for a handler that is gone."""
        served = {one.name: one.handlers for one in self.services}
        for service in await self.admin.deployed(ours.id) if ours is not None else ():
            handlers = {handler.name for handler in service.handlers}
            if went := sorted(handlers - served.get(service.name, frozenset())):
                raise RegistrationRefused(
                    f"{self.uri} is registered with handlers of {service.name} that this worker"
                    f" does not have: {', '.join(went)}",
                    hint="serve this version under another worker_advertised_url beside the old"
                    " one, or let the old jobs end and remove the old deployment",
                )

    async def _read_back(self) -> Registration:
        ours = await self._ours()
        if ours is None:
            raise RegistrationFailed(f"Restate at {self.admin.url} has forgotten {self.uri} again")
        found = [await self._service(expected) for expected in self.services]
        for expected, service in zip(self.services, found, strict=True):
            if service is not None and service.deployment_id == ours.id:
                _compare(expected, service)
        return self._state(ours, found[0])

    async def _service(self, expected: Expected) -> RegisteredService | None:
        service = await self.admin.service(expected.name)
        if service is not None:
            self.known.add(expected.name)
        return service

    def _state(self, ours: Deployment, service: RegisteredService | None) -> Registration:
        if ours.metadata.get(DIGEST_KEY, self.digest) != self.digest:
            return Registration(
                state=RegistrationState.NOT_LATEST,
                detail=f"{self.uri} is deployment {ours.id}, as another version of this worker;"
                " to change that: landlord-host register",
            )
        if service is not None and service.deployment_id == ours.id:
            detail = f"{self.uri} is deployment {ours.id}, revision {service.revision}"
            return Registration(state=RegistrationState.YES, detail=detail)
        other = service.deployment_id if service is not None else "none"
        return Registration(
            state=RegistrationState.NOT_LATEST,
            detail=f"{self.uri} is deployment {ours.id}, new jobs go to {other};"
            " to change that: landlord-host register --make-latest",
        )


def _compare(expected: Expected, found: RegisteredService) -> None:
    """Refuse a server that did not take an option: a job would pause, or be forgotten, later."""
    policy = found.retry_policy
    pairs: Mapping[str, tuple[float, float | None]] = {
        "abort_timeout": (expected.abort_timeout, seconds(found.abort_timeout)),
        "idempotency_retention": (
            expected.idempotency_retention,
            seconds(found.idempotency_retention),
        ),
        "journal_retention": (expected.journal_retention, seconds(found.journal_retention)),
        "max_interval": (expected.max_interval, seconds(policy.max_interval)),
        "max_attempts": (expected.max_attempts, policy.max_attempts),
    }
    for key, (wanted, is_now) in pairs.items():
        # Restate keeps whole milliseconds.
        if is_now is None or abs(is_now - wanted) >= 0.001:  # noqa: PLR2004
            raise RegistrationRefused(
                f"Restate keeps {key} of {found.name} as {is_now} where {wanted} was sent",
                hint="look for a limit in restate-server's configuration",
            )


def as_kept(uri: str) -> str:
    """Spell a URI as the server does: it drops a fragment and lowers the scheme's letters."""
    return urlsplit(uri)._replace(fragment="").geturl().rstrip("/")


def seconds(text: str | None) -> float | None:
    """Read a time as Restate's admin API writes it, for example ``10m`` or ``1h 30m``."""
    if text is None:
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
