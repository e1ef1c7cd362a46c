"""Registration of the worker with Restate, and looks at whether it is still registered.

Registered means that Restate has read *this* worker's manifest; what Restate shows of the services
proves that. The digest in a deployment's metadata is a claim: it names the version that last asked to
be registered at the URL. Only that version registers again where another one answered the discovery. So
two versions behind one address never fight over it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import attrs

from landlord_engines_core.engine import Registration, RegistrationState
from landlord_engines_core.errors import RegistrationFailed, RegistrationRefused
from landlord_engines_core.logs import Logger
from landlord_engines_restate.admin import (
    AdminClient,
    AdminRefused,
    AdminUnavailable,
    Discovery,
    RegisteredDeployment,
    RegisteredService,
)
from landlord_engines_restate.admin.known_services import KnownServices
from landlord_engines_restate.deployments.former_names import refuse_former_names
from landlord_engines_restate.deployments.manifest import DIGEST_KEY, Manifest
from landlord_engines_restate.deployments.server_version import refuse_too_old
from landlord_engines_restate.settings import Names

__all__ = ["Registrar"]

UNREACHABLE = "META0003"
"""Restate's code of a failed discovery: Restate then knows no deployment at that URL."""


@attrs.define(kw_only=True)
class Registrar:
    """Registers one worker.

    Attributes:
        admin: Restate's admin API.
        names: Names of the worker's services.
        uri: Where Restate reaches the worker.
        manifest: The worker's manifest.
        on_startup: Whether the worker registers itself, or the operator does.
        known: The services that Restate was seen to know; each look adds to them.
    """

    admin: AdminClient
    names: Names
    uri: str
    manifest: Manifest
    on_startup: bool
    logger: Logger
    known: KnownServices = attrs.field(factory=KnownServices)
    _has_claimed: bool = attrs.field(default=False, init=False)
    _id: str | None = attrs.field(default=None, init=False)

    async def register(self) -> Registration:
        """Register this worker as it is now.

        The first call claims the URL from any other version. A later call leaves a URL alone that
        another version has claimed since. Core calls it again where another version answered.

        Raises:
            RegistrationFailed: The worker cannot reach the server, or the server the worker.
            RegistrationRefused: Registering would harm running jobs, or the server keeps options
                with other values than the manifest's.
        """
        if not self.on_startup:
            return await self.look()
        with _as_registration_errors(self.uri):
            await self._refuse_server()
            ours = await self._find_deployment()
            if ours is None:
                ours = await self._send(force=False)
            elif await self._needs_discovery(ours):
                ours = await self._send_again(ours)
            return await self._finish(ours)

    async def dry_run(self) -> Registration:
        """Report what `register` would do.

        Raises:
            RegistrationFailed: As `register`.
            RegistrationRefused: As `register`.
        """
        with _as_registration_errors(self.uri):
            await self._refuse_server()
            ours = await self._find_deployment()
            if ours is None:
                detail = f"a registration would add the deployment {self.uri}"
                return Registration(state=RegistrationState.UNREGISTERED, detail=detail)
            if self._is_claimed(ours) and not await self._is_outdated(ours):
                return await self._finish(ours)
            self._refuse_missing_handlers(ours)
            await self._discover(force=True, dry_run=True)
            before = await self._read_state(ours)
        detail = f"a registration would update the deployment {self.uri}: {before.detail}"
        return attrs.evolve(before, detail=detail)

    async def make_latest(self) -> Registration:
        """Register again, so that new jobs go to this worker.

        Raises:
            RegistrationFailed: As `register`.
            RegistrationRefused: As `register`.
        """
        with _as_registration_errors(self.uri):
            await self._refuse_server()
            ours = await self._find_deployment()
            sending = self._send(force=False) if ours is None else self._send_again(ours)
            return await self._finish(await sending)

    async def look(self) -> Registration:
        """Look once at what the server knows of this worker; an unreachable server raises nothing."""
        try:
            ours = await self._find_deployment()
            if ours is not None:
                return await self._read_state(ours)
        except AdminUnavailable as error:
            return Registration(state=RegistrationState.UNKNOWN, detail=error.message)
        except AdminRefused as error:
            if error.restate_code != UNREACHABLE:
                return Registration(state=RegistrationState.UNKNOWN, detail=error.message)
        detail = f"Restate at {self.admin.url} has no deployment {self.uri}"
        return Registration(state=RegistrationState.UNREGISTERED, detail=detail)

    async def _refuse_server(self) -> None:
        await refuse_too_old(self.admin)
        await refuse_former_names(self.admin, self.names)

    async def _find_deployment(self) -> RegisteredDeployment | None:
        """Find the deployment at this worker's URL."""
        # By its id where that is known: a search by URL has Restate call an unknown URL.
        ours = await self.admin.deployment(self._id) if self._id is not None else None
        if ours is None:
            ours = await self.admin.deployment_at(self.uri)
            self._id = ours.id if ours is not None else None
        return ours

    def _is_claimed(self, ours: RegisteredDeployment) -> bool:
        """Whether this version was the last that asked to be registered at the URL."""
        return ours.metadata.get(DIGEST_KEY) == self.manifest.digest

    async def _is_outdated(self, ours: RegisteredDeployment) -> bool:
        return (await self._read_state(ours)).state is RegistrationState.OUTDATED

    async def _needs_discovery(self, ours: RegisteredDeployment) -> bool:
        if not self._is_claimed(ours) and not self._has_claimed:
            return True
        return await self._is_outdated(ours) and await self._would_answer(ours)

    async def _would_answer(self, ours: RegisteredDeployment) -> bool:
        """Whether this version answers a discovery now."""
        # A discovery that another version answers could remove handlers. So a dry run comes first.
        self._refuse_missing_handlers(ours)
        answer = await self._discover(force=True, dry_run=True)
        return self.manifest.was_read_for(answer.services)

    async def _send_again(self, ours: RegisteredDeployment) -> RegisteredDeployment:
        """Have Restate read the manifest of a known URL again."""
        self._refuse_missing_handlers(ours)
        return await self._send(force=True)

    async def _send(self, *, force: bool) -> RegisteredDeployment:
        discovery = await self._discover(force=force, dry_run=False)
        self.logger.info("registration sent to Restate", uri=self.uri, admin=self.admin.url)
        self._id = discovery.id
        ours = await self.admin.deployment(discovery.id)
        if ours is None:
            raise RegistrationFailed(
                f"Restate at {self.admin.url} does not show {self.uri} after its registration",
                hint="check whether somebody else removes deployments",
            )
        return ours

    async def _discover(self, *, force: bool, dry_run: bool) -> Discovery:
        metadata = {DIGEST_KEY: self.manifest.digest}
        return await self.admin.register(self.uri, force=force, dry_run=dry_run, metadata=metadata)

    def _refuse_missing_handlers(self, ours: RegisteredDeployment) -> None:
        """Refuse to update a deployment with handlers that this worker lacks."""
        # The deployment's jobs that wait for such a handler would break.
        for service, handlers in self.manifest.missing_handlers(ours.services).items():
            raise RegistrationRefused(
                f"{self.uri} is registered with handlers of {service} that this worker"
                f" does not have: {', '.join(handlers)}",
                hint="serve this version under another worker_advertised_url beside the old"
                " one, or let the old jobs end and remove the old deployment",
            )

    async def _finish(self, ours: RegisteredDeployment) -> Registration:
        """Return the result of a registration, and refuse one whose options Restate changed."""
        # From now on another version's claim counts as the newer one and is left alone.
        self._has_claimed = self._has_claimed or self._is_claimed(ours)
        registration = await self._read_state(ours)
        if registration.state is RegistrationState.REFUSED:
            raise RegistrationRefused(
                registration.detail,
                hint="look for a limit in restate-server's configuration; to undo a change by an"
                " operator: landlord-host register --make-latest",
            )
        return registration

    async def _read_state(self, ours: RegisteredDeployment) -> Registration:
        latest = await self.admin.service(self.manifest.services[0].name)
        self.known.add(ours.services)
        state, detail = self._judge(ours, latest)
        return Registration(state=state, detail=f"{self.uri} is deployment {ours.id}, {detail}")

    def _judge(
        self, ours: RegisteredDeployment, latest: RegisteredService | None
    ) -> tuple[RegistrationState, str]:
        """Compare the deployment and the latest service with this worker's manifest."""
        if not self._is_claimed(ours):
            detail = (
                "claimed by another version of this worker; to change that: landlord-host register"
            )
            return RegistrationState.NOT_LATEST, detail
        if latest is None or latest.deployment_id != ours.id:
            other = latest.deployment_id if latest is not None else "none"
            detail = f"new jobs go to {other}; to change that: landlord-host register --make-latest"
            return RegistrationState.NOT_LATEST, detail
        if not self.manifest.was_read_for(ours.services):
            detail = "and another version of this worker answered when Restate last read it"
            return RegistrationState.OUTDATED, detail
        if differences := self.manifest.differences(ours.services):
            return RegistrationState.REFUSED, f"and Restate keeps {'; '.join(differences)}"
        return RegistrationState.REGISTERED, f"revision {latest.revision}"


@contextmanager
def _as_registration_errors(uri: str) -> Iterator[None]:
    try:
        yield
    except AdminRefused as error:
        raise RegistrationFailed(
            error.message,
            hint=f"check that Restate reaches {uri} (workflow.restate."
            "worker_advertised_url) and trusts the same identity keys",
        ) from error
    except AdminUnavailable as error:
        raise RegistrationFailed(error.message, hint=error.hint) from error
