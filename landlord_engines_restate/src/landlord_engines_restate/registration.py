"""Announcing the worker to Restate, and knowing whether it still is.

Registered means that Restate has read *this* manifest, shown by what it reads back. The digest in a
deployment's metadata is a claim beside that: it says which version last asked to be registered at
the URL. Only that version asks again where another one answered the discovery, so that two versions
behind one address never fight over it.
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
    Discovered,
    RegisteredDeployment,
    RegisteredService,
)
from landlord_engines_restate.former_names import refuse_former_names
from landlord_engines_restate.manifest import DIGEST_KEY, Manifest
from landlord_engines_restate.server_version import refuse_too_old
from landlord_engines_restate.settings import Names

__all__ = ["Registrar"]

UNREACHABLE = "META0003"
"""Restate's code where a discovery failed: it knows no deployment at that URL."""


@attrs.define(kw_only=True)
class Registrar:
    """Registers one worker.

    Attributes:
        admin: Restate's admin API.
        names: What the worker's services are called.
        uri: Where Restate reaches the worker.
        manifest: What the worker answers a discovery with.
        on_startup: Whether to register at all, or to leave that to the operator.
        known: The names of those services that the server was seen to know.
    """

    admin: AdminClient
    names: Names
    uri: str
    manifest: Manifest
    on_startup: bool
    logger: Logger
    known: set[str] = attrs.field(factory=set)
    _has_claimed: bool = attrs.field(default=False, init=False)
    _id: str | None = attrs.field(default=None, init=False)

    async def register(self) -> Registration:
        """Make the server know this worker as it is now.

        The first time it claims the URL from any other version; after that it leaves a URL alone
        that another version has claimed. It may be called again where another version answered.

        Raises:
            RegistrationFailed: The server, or the worker from the server, cannot be reached.
            RegistrationRefused: Registering would harm running jobs, or the server keeps something
                else than was sent.
        """
        if not self.on_startup:
            return await self.look()
        with self._translated():
            await self._refuse_server()
            ours = await self._ours()
            if ours is None:
                ours = await self._send(force=False)
            elif await self._is_to_be_read_again(ours):
                ours = await self._send_to(ours)
            return await self._registered(ours)

    async def dry_run(self) -> Registration:
        """Say what `register` would do.

        Raises:
            RegistrationFailed: As `register`.
            RegistrationRefused: As `register`.
        """
        with self._translated():
            await self._refuse_server()
            ours = await self._ours()
            if ours is None:
                detail = f"a registration would add the deployment {self.uri}"
                return Registration(state=RegistrationState.UNREGISTERED, detail=detail)
            if self._is_claimed(ours) and not await self._is_outdated(ours):
                return await self._registered(ours)
            self._refuse_if_handlers_went(ours)
            await self._discover(force=True, dry_run=True)
            before = await self._state(ours)
        detail = f"a registration would update the deployment {self.uri}: {before.detail}"
        return attrs.evolve(before, detail=detail)

    async def make_latest(self) -> Registration:
        """Have new jobs sent here, whatever is registered beside.

        Raises:
            RegistrationFailed: As `register`.
            RegistrationRefused: As `register`.
        """
        with self._translated():
            await self._refuse_server()
            ours = await self._ours()
            sent = self._send(force=False) if ours is None else self._send_to(ours)
            return await self._registered(await sent)

    async def look(self) -> Registration:
        """Ask once what the server knows of this worker; never raises for an unreachable one."""
        try:
            ours = await self._ours()
            if ours is not None:
                return await self._state(ours)
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

    async def _ours(self) -> RegisteredDeployment | None:
        """The deployment at this URL: by its id, which only the server can tell from a URL."""
        ours = await self.admin.deployment(self._id) if self._id is not None else None
        if ours is None:
            ours = await self.admin.deployment_at(self.uri)
            self._id = ours.id if ours is not None else None
        return ours

    def _is_claimed(self, ours: RegisteredDeployment) -> bool:
        """Whether this version was the last that asked to be registered there."""
        return ours.metadata.get(DIGEST_KEY) == self.manifest.digest

    async def _is_outdated(self, ours: RegisteredDeployment) -> bool:
        return (await self._state(ours)).state is RegistrationState.OUTDATED

    async def _is_to_be_read_again(self, ours: RegisteredDeployment) -> bool:
        if not self._is_claimed(ours) and not self._has_claimed:
            return True
        return await self._is_outdated(ours) and await self._would_be_read(ours)

    async def _would_be_read(self, ours: RegisteredDeployment) -> bool:
        """Whether a discovery is answered by this version, so that no handler would go."""
        self._refuse_if_handlers_went(ours)
        answer = await self._discover(force=True, dry_run=True)
        return self.manifest.was_read_for(answer.services)

    async def _send_to(self, ours: RegisteredDeployment) -> RegisteredDeployment:
        """Have the manifest read again where the URL is known."""
        self._refuse_if_handlers_went(ours)
        return await self._send(force=True)

    async def _send(self, *, force: bool) -> RegisteredDeployment:
        sent = await self._discover(force=force, dry_run=False)
        self.logger.info("registration sent to Restate", uri=self.uri, admin=self.admin.url)
        self._id = sent.id
        ours = await self.admin.deployment(sent.id)
        if ours is None:
            raise RegistrationFailed(f"Restate at {self.admin.url} has forgotten {self.uri} again")
        return ours

    async def _discover(self, *, force: bool, dry_run: bool) -> Discovered:
        metadata = {DIGEST_KEY: self.manifest.digest}
        return await self.admin.register(self.uri, force=force, dry_run=dry_run, metadata=metadata)

    def _refuse_if_handlers_went(self, ours: RegisteredDeployment) -> None:
        """Updating a deployment breaks the jobs in it that wait for a handler that is gone."""
        for service, handlers in self.manifest.lost_handlers(ours.services).items():
            raise RegistrationRefused(
                f"{self.uri} is registered with handlers of {service} that this worker"
                f" does not have: {', '.join(handlers)}",
                hint="serve this version under another worker_advertised_url beside the old"
                " one, or let the old jobs end and remove the old deployment",
            )

    async def _registered(self, ours: RegisteredDeployment) -> Registration:
        """What came of a registration; from now on a claim of another version is left alone."""
        self._has_claimed = self._has_claimed or self._is_claimed(ours)
        registration = await self._state(ours)
        if registration.state is RegistrationState.REFUSED:
            raise RegistrationRefused(
                registration.detail,
                hint="look for a limit in restate-server's configuration; what an operator changed"
                " is set back by: landlord-host register --make-latest",
            )
        return registration

    async def _state(self, ours: RegisteredDeployment) -> Registration:
        first = self.manifest.services[0].name
        latest = await self.admin.service(first)
        self.known.update(service.name for service in ours.services)
        state, told = self._judge(ours, latest)
        return Registration(state=state, detail=f"{self.uri} is deployment {ours.id}, {told}")

    def _judge(
        self, ours: RegisteredDeployment, latest: RegisteredService | None
    ) -> tuple[RegistrationState, str]:
        """Hold what Restate shows against what this worker is."""
        if not self._is_claimed(ours):
            told = (
                "claimed by another version of this worker; to change that: landlord-host register"
            )
            return RegistrationState.NOT_LATEST, told
        if latest is None or latest.deployment_id != ours.id:
            other = latest.deployment_id if latest is not None else "none"
            told = f"new jobs go to {other}; to change that: landlord-host register --make-latest"
            return RegistrationState.NOT_LATEST, told
        if not self.manifest.was_read_for(ours.services):
            told = "and another version of this worker answered when Restate last read it"
            return RegistrationState.OUTDATED, told
        if differences := self.manifest.differences(ours.services):
            return RegistrationState.REFUSED, f"and Restate keeps {'; '.join(differences)}"
        return RegistrationState.REGISTERED, f"revision {latest.revision}"

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except AdminRefused as error:
            raise RegistrationFailed(
                error.message,
                hint=f"check that Restate reaches {self.uri} (workflow.restate."
                "worker_advertised_url) and trusts the same identity keys",
            ) from error
        except AdminUnavailable as error:
            raise RegistrationFailed(error.message, hint=error.hint) from error
