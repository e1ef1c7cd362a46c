"""Moves invocations from an old deployment of the worker to the latest, so that the old one can stop.

An invocation is pinned to the deployment that first answered it. If that deployment is gone, the
invocation backs off indefinitely. Restate moves an invocation by resuming it on another deployment.
Observed on restate-server 1.7.12:

- A suspended or paused invocation can be resumed. One that backs off has to be paused first.
- A running invocation pauses once its step has ended or Restate has closed its connection. A pause
  cannot be withdrawn.
- A resume does not check the journal. If the new code does not match the journal, its first attempt
  fails. The invocation can then be resumed on the old deployment.
- An invocation that no deployment has answered yet is not pinned, and needs no move.
"""

import asyncio
from collections.abc import Iterable, Mapping
from functools import partial
from urllib.parse import urlsplit

import attrs

from landlord_engines_core.engine import MoveOutcome, MoveReport, MoveResult
from landlord_engines_core.errors import EngineError, SettingsError
from landlord_engines_core.retries import poll
from landlord_engines_restate.admin import AdminClient, AdminRefused, Deployment
from landlord_engines_restate.admin.queries import RESUMABLE
from landlord_engines_restate.deployments.invocations import Invocation, Invocations
from landlord_engines_restate.settings import Names

__all__ = ["Mover"]

CONCURRENT_MOVES = 16
"""Largest number of invocations that are moved at the same time."""

FIRST_ATTEMPT = 5.0
"""Seconds for which a moved invocation's first attempt is watched."""
# The SDK reads the journal before it runs a step, so a mismatch with the journal shows early.

_INCOMPATIBLE = {
    "RT0012": "the latest version does not serve it",
    "RT0016": "the latest version cannot continue its journal",
}
"""Restate's codes of failures that every attempt on the same deployment repeats."""

_poll = partial(poll, first=0.02, longest=0.5)


@attrs.frozen(kw_only=True)
class _Route:
    """Ids of the old deployment, and of the latest deployment for each service."""

    old: str
    latest: Mapping[str, str]
    dry_run: bool


@attrs.frozen(kw_only=True)
class Mover:
    """Moves the invocations of one server.

    Attributes:
        admin: Restate's admin API.
        names: Names of the worker's services.
        pause_timeout: Timeout of a pause in seconds: a running step ends before Restate pauses.
    """

    admin: AdminClient
    names: Names
    pause_timeout: float
    _invocations: Invocations = attrs.field(init=False)
    _slots: asyncio.Semaphore = attrs.field(
        factory=lambda: asyncio.Semaphore(CONCURRENT_MOVES), init=False
    )

    @_invocations.default
    def _build_invocations(self) -> Invocations:
        return Invocations(admin=self.admin, names=self.names)

    async def move(self, uri: str, *, dry_run: bool) -> MoveReport:
        """Move all invocations whose code does not run; see `WorkerEngine.move`."""
        old, latest_uri, latest = await self._find_deployments(uri)
        route = _Route(old=old.id, latest=latest, dry_run=dry_run)
        pinned = await self._invocations.list_pinned(old.id)
        # Jobs go first: killing a job also ends its call of the lock, which then needs no move.
        jobs = [invocation for invocation in pinned if invocation.service == self.names.service]
        others = [invocation for invocation in pinned if invocation.service != self.names.service]
        moves = [*await self._move_all(jobs, route), *await self._move_all(others, route)]
        remaining = await self._invocations.list_pinned(old.id)
        return MoveReport(
            old=old.uri.rstrip("/"),
            latest=latest_uri,
            moves=tuple(moves),
            remaining=len(remaining),
        )

    async def _find_deployments(self, uri: str) -> tuple[Deployment, str, Mapping[str, str]]:
        """Find the old deployment, the latest one's URL, and the latest id for each service.

        Raises:
            SettingsError: No deployment is at this URL, or it is the latest.
        """
        deployments = await self.admin.deployments()
        by_id = {deployment.id: deployment.uri.rstrip("/") for deployment in deployments}
        uris = ", ".join(sorted(by_id.values())) or "none"
        old = next(
            (
                deployment
                for deployment in deployments
                if _normalize(deployment.uri) == _normalize(uri)
            ),
            None,
        )
        latest = await self._find_latest(old) if old is not None else {}
        if old is None or self.names.service not in latest:
            raise SettingsError(
                f"Restate at {self.admin.url} knows no version of {self.names.service} at {uri}",
                hint=f"it knows {uris}",
            )
        latest_id = latest[self.names.service]
        if latest_id == old.id:
            raise SettingsError(
                f"{uri} is the latest version of {self.names.service}: new jobs go there",
                hint="first start the new version under another worker_advertised_url, or have it"
                f" `register --make-latest`; Restate at {self.admin.url} knows {uris}",
            )
        return old, by_id.get(latest_id, latest_id), latest

    async def _find_latest(self, old: Deployment) -> dict[str, str]:
        deployment = await self.admin.deployment(old.id)
        registered = deployment.services if deployment is not None else ()
        services = [await self.admin.service(service.name) for service in registered]
        return {service.name: service.deployment_id for service in services if service is not None}

    async def _move_all(self, invocations: Iterable[Invocation], route: _Route) -> list[MoveResult]:
        return await asyncio.gather(
            *(self._move_one(invocation, route) for invocation in invocations)
        )

    async def _move_one(self, invocation: Invocation, route: _Route) -> MoveResult:
        tenant = ""
        async with self._slots:
            try:
                tenant = await self._invocations.read_tenant(invocation)
                outcome, detail = await self._try_move(invocation, tenant, route)
            except EngineError as error:
                outcome, detail = MoveOutcome.LEFT, error.message
        return MoveResult(
            execution_id=invocation.id,
            what=f"{invocation.service}/{invocation.handler}",
            tenant=tenant,
            state=invocation.status,
            outcome=outcome,
            detail=detail,
        )

    async def _try_move(
        self, invocation: Invocation, tenant: str, route: _Route
    ) -> tuple[MoveOutcome, str]:
        if route.latest.get(invocation.service, route.old) == route.old:
            return MoveOutcome.LEFT, "no other version serves it"
        is_job = invocation.service == self.names.service
        # A superseded job must not run. It would notice only in an attempt on the latest deployment,
        # so it is killed here.
        later_job = await self._invocations.find_later_job(invocation, tenant) if is_job else ""
        reason = f"{later_job} was dispatched later and has had the lock" if later_job else ""
        current = await self._invocations.find(invocation.id)
        if current is None:
            return MoveOutcome.ENDED, ""
        if not current.is_movable:
            return MoveOutcome.RUNNING, ""
        if route.dry_run:
            return (MoveOutcome.KILLED if later_job else MoveOutcome.MOVED), reason
        if later_job:
            was_killed = await self.admin.kill(current.id)
            return (MoveOutcome.KILLED if was_killed else MoveOutcome.ENDED), reason
        outcome, detail = await self._resume(current, "latest", route)
        is_moved = outcome is MoveOutcome.MOVED
        return await self._watch_first_attempt(current.id, route) if is_moved else (outcome, detail)

    async def _resume(
        self, current: Invocation, deployment: str, route: _Route
    ) -> tuple[MoveOutcome, str]:
        """Resume an invocation on a deployment, and pause it before that if necessary."""
        if needs_pause := current.status not in RESUMABLE:
            paused = await self._pause(current.id)
            if paused is None:
                return MoveOutcome.ENDED, ""
            if paused.status not in RESUMABLE:
                return (
                    MoveOutcome.LEFT,
                    "it started to run, and pauses after its step: run this again then",
                )
        try:
            is_accepted = await self.admin.resume(current.id, deployment)
        except AdminRefused:
            if needs_pause and deployment != route.old:
                # This move paused the invocation. Without a resume it would stay paused.
                await self.admin.resume(current.id, route.old)
            raise
        return (MoveOutcome.MOVED if is_accepted else MoveOutcome.RUNNING), ""

    async def _pause(self, invocation_id: str) -> Invocation | None:
        """Pause an invocation, and read it again; ``None`` if it has ended."""

        async def pause() -> Invocation | None:
            await self.admin.pause(invocation_id)
            return await self._invocations.find(invocation_id)

        # Repeat the request, because Restate once lost a pause that it had accepted (observed).
        return await _poll(
            pause,
            lambda current: current is not None and current.status not in RESUMABLE,
            within=self.pause_timeout,
        )

    async def _watch_first_attempt(
        self, invocation_id: str, route: _Route
    ) -> tuple[MoveOutcome, str]:
        """Watch the first attempt on the latest deployment; return an incompatible one to the old."""
        try:
            current = await _poll(
                lambda: self._invocations.find(invocation_id),
                lambda current: (
                    current is not None
                    and not (current.is_inactive or current.failure in _INCOMPATIBLE)
                ),
                within=FIRST_ATTEMPT,
            )
        except EngineError as error:
            return (
                MoveOutcome.MOVED,
                f"its first attempt there could not be observed: {error.message}",
            )
        if current is None or current.failure not in _INCOMPATIBLE or current.tried_on == route.old:
            return MoveOutcome.MOVED, ""
        outcome, detail = await self._resume(current, route.old, route)
        reason = _INCOMPATIBLE[current.failure]
        if outcome is MoveOutcome.MOVED:
            return MoveOutcome.LEFT, f"{reason}: it has to end on the old version"
        return (
            outcome,
            f"{reason}, and could not be returned to the old version: {detail or 'run this again'}",
        )


def _normalize(uri: str) -> str:
    """Spell a URI as the server does: without a fragment, with scheme and host in lower case."""
    parts = urlsplit(uri)
    credentials, at, host = parts.netloc.rpartition("@")
    netloc = f"{credentials}{at}{host.lower()}"
    return parts._replace(netloc=netloc, fragment="").geturl().rstrip("/")
