"""Registers the worker with Restate, and checks whether it is still registered.

Registered means that Restate has read *this* worker's manifest: the digest in the services' metadata
proves that. The digest in the deployment's metadata is a claim on the URL by the version that last
asked for registration. If another version answered the discovery, only the claiming version registers
again. So two versions behind one address never overwrite each other in turn.
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
    DeploymentDetails,
    RegisteredService,
    RegistrationResponse,
)
from landlord_engines_restate.admin.known_services import KnownServices
from landlord_engines_restate.deployments.former_names import refuse_former_names
from landlord_engines_restate.deployments.manifest import DIGEST_KEY, Manifest
from landlord_engines_restate.deployments.server_version import refuse_too_old
from landlord_engines_restate.settings import Names

__all__ = ["Registrar"]

UNREACHABLE = "META0003"
"""Restate's code of a failed discovery: it has no deployment at that URL."""


@attrs.define(kw_only=True)
class Registrar:
    """Registers one worker.

    Attributes:
        admin: Restate's admin API.
        names: Names of the worker's services.
        uri: URL at which Restate reaches the worker.
        manifest: The worker's manifest.
        on_startup: Whether the worker registers itself, or the operator does.
        known: Cache of services found registered in Restate; each check adds to it.
    """

    admin: AdminClient
    names: Names
    uri: str
    manifest: Manifest
    on_startup: bool
    logger: Logger
    known: KnownServices = attrs.field(factory=KnownServices)
    _has_claimed: bool = attrs.field(default=False, init=False)
    _deployment_id: str | None = attrs.field(default=None, init=False)

    async def register(self) -> Registration:
        """Register this version of the worker.

        The first call claims the URL from any other version. A later call does nothing if another
        version has claimed the URL since. The host calls again if another version answered.

        Raises:
            RegistrationFailed: The worker cannot reach the server, or the server the worker.
            RegistrationRefused: Registering would harm running jobs, or the server has changed the
                manifest's options.
        """
        if not self.on_startup:
            return await self.read_registration()
        with _as_registration_errors(self.uri):
            await self._refuse_server()
            deployment = await self._find_deployment()
            if deployment is None:
                deployment = await self._send(force=False)
            elif await self._needs_discovery(deployment):
                deployment = await self._send_again(deployment)
            return await self._finish(deployment)

    async def dry_run(self) -> Registration:
        """Report what `register` would do.

        Raises:
            RegistrationFailed: As `register`.
            RegistrationRefused: As `register`.
        """
        with _as_registration_errors(self.uri):
            await self._refuse_server()
            deployment = await self._find_deployment()
            if deployment is None:
                detail = f"a registration would add the deployment {self.uri}"
                return Registration(state=RegistrationState.UNREGISTERED, detail=detail)
            if self._is_claimed(deployment) and not await self._is_outdated(deployment):
                return await self._finish(deployment)
            self._refuse_missing_handlers(deployment)
            await self._discover(force=True, dry_run=True)
            current = await self._read_state(deployment)
        detail = f"a registration would update the deployment {self.uri}: {current.detail}"
        return attrs.evolve(current, detail=detail)

    async def make_latest(self) -> Registration:
        """Register again, so that new jobs go to this worker.

        Raises:
            RegistrationFailed: As `register`.
            RegistrationRefused: As `register`.
        """
        with _as_registration_errors(self.uri):
            await self._refuse_server()
            deployment = await self._find_deployment()
            sending = (
                self._send(force=False) if deployment is None else self._send_again(deployment)
            )
            return await self._finish(await sending)

    async def read_registration(self) -> Registration:
        """Read this worker's registration once; an unreachable server raises no error."""
        try:
            deployment = await self._find_deployment()
            if deployment is not None:
                return await self._read_state(deployment)
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

    async def _find_deployment(self) -> DeploymentDetails | None:
        """Find the deployment at this worker's URL."""
        # Prefer the id: for a search by URL, Restate may call the worker.
        deployment = None
        if self._deployment_id is not None:
            deployment = await self.admin.deployment(self._deployment_id)
        if deployment is None:
            deployment = await self.admin.deployment_at(self.uri)
            self._deployment_id = deployment.id if deployment is not None else None
        return deployment

    def _is_claimed(self, deployment: DeploymentDetails) -> bool:
        """Whether this version was the last to ask for registration at the URL."""
        return deployment.metadata.get(DIGEST_KEY) == self.manifest.digest

    async def _is_outdated(self, deployment: DeploymentDetails) -> bool:
        return (await self._read_state(deployment)).state is RegistrationState.OUTDATED

    async def _needs_discovery(self, deployment: DeploymentDetails) -> bool:
        if not self._is_claimed(deployment) and not self._has_claimed:
            return True
        return await self._is_outdated(deployment) and await self._is_discoverable(deployment)

    async def _is_discoverable(self, deployment: DeploymentDetails) -> bool:
        """Whether a discovery now would reach this version."""
        # Try a dry run first: if another version answered, a registration could remove handlers.
        self._refuse_missing_handlers(deployment)
        answer = await self._discover(force=True, dry_run=True)
        return self.manifest.was_read_for(answer.services)

    async def _send_again(self, deployment: DeploymentDetails) -> DeploymentDetails:
        """Have Restate read the manifest of a known URL again."""
        self._refuse_missing_handlers(deployment)
        return await self._send(force=True)

    async def _send(self, *, force: bool) -> DeploymentDetails:
        discovery = await self._discover(force=force, dry_run=False)
        self.logger.info("registration sent to Restate", uri=self.uri, admin=self.admin.url)
        self._deployment_id = discovery.id
        deployment = await self.admin.deployment(discovery.id)
        if deployment is None:
            raise RegistrationFailed(
                f"Restate at {self.admin.url} does not show {self.uri} after its registration",
                hint="check whether anyone else removes deployments",
            )
        return deployment

    async def _discover(self, *, force: bool, dry_run: bool) -> RegistrationResponse:
        metadata = {DIGEST_KEY: self.manifest.digest}
        return await self.admin.register(self.uri, force=force, dry_run=dry_run, metadata=metadata)

    def _refuse_missing_handlers(self, deployment: DeploymentDetails) -> None:
        """Refuse to update a deployment with handlers that this worker lacks."""
        # Restate could no longer call such a handler for jobs that wait for it.
        for service, handlers in self.manifest.missing_handlers(deployment.services).items():
            raise RegistrationRefused(
                f"{self.uri} is registered with handlers of {service} that this worker"
                f" does not have: {', '.join(handlers)}",
                hint="serve this version under another worker_advertised_url beside the old"
                " one, or let the old jobs end and remove the old deployment",
            )

    async def _finish(self, deployment: DeploymentDetails) -> Registration:
        """Return the result of a registration; fail if Restate has changed options."""
        # After this, another version's claim is newer and is respected.
        self._has_claimed = self._has_claimed or self._is_claimed(deployment)
        registration = await self._read_state(deployment)
        if registration.state is RegistrationState.REFUSED:
            raise RegistrationRefused(
                registration.detail,
                hint="look for a limit in restate-server's configuration; to undo a change by an"
                " operator: landlord-host register --make-latest",
            )
        return registration

    async def _read_state(self, deployment: DeploymentDetails) -> Registration:
        latest = await self.admin.service(self.manifest.services[0].name)
        self.known.add(deployment.services)
        state, detail = self._determine_state(deployment, latest)
        return Registration(
            state=state, detail=f"{self.uri} is deployment {deployment.id}, {detail}"
        )

    def _determine_state(
        self, deployment: DeploymentDetails, latest: RegisteredService | None
    ) -> tuple[RegistrationState, str]:
        """Compare the deployment and the latest service with this worker's manifest."""
        if not self._is_claimed(deployment):
            detail = (
                "claimed by another version of this worker; to change that: landlord-host register"
            )
            return RegistrationState.NOT_LATEST, detail
        if latest is None or latest.deployment_id != deployment.id:
            other = latest.deployment_id if latest is not None else "none"
            detail = f"new jobs go to {other}; to change that: landlord-host register --make-latest"
            return RegistrationState.NOT_LATEST, detail
        if not self.manifest.was_read_for(deployment.services):
            detail = "and another version of this worker answered when Restate last read it"
            return RegistrationState.OUTDATED, detail
        if differences := self.manifest.differences(deployment.services):
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
