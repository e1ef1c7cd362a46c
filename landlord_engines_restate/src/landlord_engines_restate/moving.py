"""Moving what an old version of the worker has begun to the latest, so that the old one may go.

An invocation stays with the deployment that first answered it, and backs off for ever where that is
gone. Observed on restate-server 1.7.12: what is suspended or paused can be resumed on another
deployment, what backs off has to be paused first. The pause of one that runs takes effect once its
step has ended, or its connection is given up, and cannot be taken back. No resume looks at the
journal: code that does not fit it fails at its first attempt, and the invocation can then be resumed
on the old deployment. What no deployment has answered yet goes to the latest by itself.
"""

import asyncio
from collections.abc import Iterable, Mapping
from functools import partial
from urllib.parse import urlsplit

import attrs
import backoff

from landlord_engines_core.engine import MoveOutcome, MoveReport, MoveResult
from landlord_engines_core.errors import EngineError, SettingsError
from landlord_engines_restate.admin import AdminClient, AdminRefused, Deployment
from landlord_engines_restate.invocations import Invocation, Invocations
from landlord_engines_restate.settings import Names

__all__ = ["Mover"]

AT_ONCE = 16
"""Invocations that are moved at the same time."""

FIRST_ATTEMPT = 5.0
"""Seconds in which a journal that does not fit has shown: it is read before any step runs."""

_RESUMABLE = ("suspended", "paused")

_UNFIT = {
    "RT0012": "the latest version does not serve it",
    "RT0016": "the latest version cannot go on with its journal",
}
"""Restate's codes of failures that another attempt on the same deployment cannot repair."""

_look_again = partial(
    backoff.on_predicate, backoff.expo, factor=0.02, max_value=0.5, jitter=None, logger=None
)


@attrs.frozen(kw_only=True)
class _Way:
    """From where to where; ``newer`` has the latest deployment's id for each service."""

    old: str
    newer: Mapping[str, str]
    dry_run: bool


@attrs.frozen(kw_only=True)
class Mover:
    """Moves what one server shows.

    Attributes:
        admin: Restate's admin API.
        names: What the worker's services are called.
        patience: Seconds that a pause may take: those of a step.
    """

    admin: AdminClient
    names: Names
    patience: float
    _shown: Invocations = attrs.field(init=False)
    _slots: asyncio.Semaphore = attrs.field(factory=lambda: asyncio.Semaphore(AT_ONCE), init=False)

    @_shown.default
    def _of_the_server(self) -> Invocations:
        return Invocations(admin=self.admin, names=self.names)

    async def move(self, uri: str, *, dry_run: bool) -> MoveReport:
        """Move all that stands still; see `WorkerEngine.move`."""
        old, latest, newer = await self._deployments(uri)
        way = _Way(old=old.id, newer=newer, dry_run=dry_run)
        found = await self._shown.begun_by(old.id)
        # A job that is killed takes its call of the lock with it.
        jobs = [one for one in found if one.service == self.names.service]
        others = [one for one in found if one.service != self.names.service]
        moves = [*await self._all(jobs, way), *await self._all(others, way)]
        left = await self._shown.begun_by(old.id)
        return MoveReport(
            old=old.uri.rstrip("/"),
            latest=latest,
            moves=tuple(moves),
            remaining=len(left),
        )

    async def _deployments(self, uri: str) -> tuple[Deployment, str, Mapping[str, str]]:
        """The old one, the latest's URL, and the latest's id for each service of the old one."""
        known = await self.admin.deployments()
        by_id = {one.id: one.uri.rstrip("/") for one in known}
        uris = ", ".join(sorted(by_id.values())) or "none"
        old = next((one for one in known if _as_kept(one.uri) == _as_kept(uri)), None)
        newer = await self._latest(old) if old is not None else {}
        if old is None or self.names.service not in newer:
            raise SettingsError(
                f"Restate at {self.admin.url} knows no version of {self.names.service} at {uri}",
                hint=f"it knows {uris}",
            )
        latest = newer[self.names.service]
        if latest == old.id:
            raise SettingsError(
                f"{uri} is the latest version of {self.names.service}: new jobs go there",
                hint="first start the new version under another worker_advertised_url, or have it"
                f" `register --make-latest`; Restate at {self.admin.url} knows {uris}",
            )
        return old, by_id.get(latest, latest), newer

    async def _latest(self, old: Deployment) -> dict[str, str]:
        deployment = await self.admin.deployment(old.id)
        services = deployment.services if deployment is not None else ()
        found = [await self.admin.service(service.name) for service in services]
        return {one.name: one.deployment_id for one in found if one is not None}

    async def _all(self, found: Iterable[Invocation], way: _Way) -> list[MoveResult]:
        return await asyncio.gather(*(self._one(one, way) for one in found))

    async def _one(self, found: Invocation, way: _Way) -> MoveResult:
        tenant = ""
        async with self._slots:
            try:
                tenant = await self._shown.tenant(found)
                fate, detail = await self._carried(found, tenant, way)
            except EngineError as error:
                fate, detail = MoveOutcome.LEFT, error.message
        return MoveResult(
            execution_id=found.id,
            what=f"{found.service}/{found.handler}",
            tenant=tenant,
            state=found.status,
            fate=fate,
            detail=detail,
        )

    async def _carried(self, found: Invocation, tenant: str, way: _Way) -> tuple[MoveOutcome, str]:
        if way.newer.get(found.service, way.old) == way.old:
            return MoveOutcome.LEFT, "no other version serves it"
        is_job = found.service == self.names.service
        rival = await self._shown.overtaken_by(found, tenant) if is_job else ""
        why = f"{rival} was dispatched later and has had the lock" if rival else ""
        now = await self._shown.now(found.id)
        if now is None:
            return MoveOutcome.ENDED, ""
        if not now.stands_still:
            return MoveOutcome.RUNNING, ""
        if way.dry_run:
            return (MoveOutcome.KILLED if rival else MoveOutcome.MOVED), why
        if rival:
            return (MoveOutcome.KILLED if await self.admin.kill(now.id) else MoveOutcome.ENDED), why
        fate, detail = await self._resumed(now, "latest", way)
        return await self._tried(now.id, way) if fate is MoveOutcome.MOVED else (fate, detail)

    async def _resumed(
        self, now: Invocation, deployment: str, way: _Way
    ) -> tuple[MoveOutcome, str]:
        """Have an invocation that stands still go on with a deployment."""
        if has_to_pause := now.status not in _RESUMABLE:
            paused = await self._paused(now.id)
            if paused is None:
                return MoveOutcome.ENDED, ""
            if paused.status not in _RESUMABLE:
                return (
                    MoveOutcome.LEFT,
                    "it began to run, and pauses after its step: run this again then",
                )
        try:
            taken = await self.admin.resume(now.id, deployment)
        except AdminRefused:
            if has_to_pause and deployment != way.old:
                # Nobody but this move has paused it: it would stand still for ever.
                await self.admin.resume(now.id, way.old)
            raise
        return (MoveOutcome.MOVED if taken else MoveOutcome.RUNNING), ""

    async def _paused(self, invocation_id: str) -> Invocation | None:
        """Pause it, and ask again while it goes on: the server once lost a pause that it took."""

        async def pause() -> Invocation | None:
            await self.admin.pause(invocation_id)
            return await self._shown.now(invocation_id)

        look = _look_again(
            lambda now: now is not None and now.status not in _RESUMABLE,
            max_time=self.patience,
        )(pause)
        now: Invocation | None = await look()
        return now

    async def _tried(self, invocation_id: str, way: _Way) -> tuple[MoveOutcome, str]:
        """Watch its first attempt with the latest; what does not fit there goes back to the old."""
        look = _look_again(
            lambda now: now is not None and not (now.rests or now.failure in _UNFIT),
            max_time=FIRST_ATTEMPT,
        )(self._shown.now)
        try:
            now: Invocation | None = await look(invocation_id)
        except EngineError as error:
            return MoveOutcome.MOVED, f"whether it goes on there could not be seen: {error.message}"
        if now is None or now.failure not in _UNFIT or now.tried_on == way.old:
            return MoveOutcome.MOVED, ""
        fate, detail = await self._resumed(now, way.old, way)
        why = _UNFIT[now.failure]
        if fate is MoveOutcome.MOVED:
            return MoveOutcome.LEFT, f"{why}: the old one has to end it"
        return fate, f"{why}, and it is not back with the old one: {detail or 'run this again'}"


def _as_kept(uri: str) -> str:
    """Spell a URI as the server does: it drops a fragment and lowers the scheme and the host."""
    parts = urlsplit(uri)
    credentials, at, host = parts.netloc.rpartition("@")
    netloc = f"{credentials}{at}{host.lower()}"
    return parts._replace(netloc=netloc, fragment="").geturl().rstrip("/")
