"""Moving what an old version of the worker has begun to the latest, so that the old one may go.

An invocation stays with the deployment that first answered it, and backs off for ever where that is
gone. Observed on restate-server 1.7.12: what is suspended or paused can be resumed on another
deployment, what backs off has to be paused first. The pause of one that has just begun to run takes
effect once its step has ended, and cannot be taken back. No resume looks at the journal: code that
does not fit it fails at its first attempt, and the invocation can then be resumed on the old
deployment. What no deployment has answered yet goes to the latest by itself.
"""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import partial

import attrs
import backoff

from landlord_engines_core import codec
from landlord_engines_core.engine import Fate, Move, Moved
from landlord_engines_core.errors import EngineError, InvalidJob, SettingsError
from landlord_engines_core.models import Ended
from landlord_engines_core.tenants.understand import understand
from landlord_engines_restate.admin import AdminClient, literal
from landlord_engines_restate.registration import as_kept
from landlord_engines_restate.settings import Names
from landlord_engines_restate.steps import turn_state

__all__ = ["Mover"]

AT_ONCE = 16
"""Invocations that are moved at the same time."""

FIRST_ATTEMPT = 5.0
"""Seconds in which a journal that does not fit shows; it does so at once, on a machine that is idle."""

_STANDING_STILL = ("suspended", "backing-off", "paused")
"""States in which none of an invocation's code runs; the last is also a move that was cut short."""

_UNFIT = {
    "RT0012": "the latest version does not serve it",
    "RT0016": "the latest version cannot go on with its journal",
}
"""Restate's codes of failures that another attempt on the same deployment cannot mend."""

_patiently = partial(backoff.on_predicate, backoff.expo, factor=0.02, max_value=0.5, jitter=None)


@attrs.frozen(kw_only=True)
class _Found:
    """An invocation as the server shows it."""

    id: str
    service: str
    handler: str
    tenant_key: str = ""
    status: str
    created_at: str
    tried_on: str = ""
    failure: str = ""

    @property
    def stands_still(self) -> bool:
        return self.status in _STANDING_STILL


@attrs.frozen(kw_only=True)
class _Input:
    payload: tuple[int, ...]


@attrs.frozen(kw_only=True)
class _Entry:
    """The first entry of a journal."""

    Command: Mapping[str, _Input]


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
    _slots: asyncio.Semaphore = attrs.field(factory=lambda: asyncio.Semaphore(AT_ONCE), init=False)

    async def move(self, uri: str, *, dry_run: bool) -> Moved:
        """Move all that stands still; see `WorkerEngine.move`."""
        uris = {one.id: one.uri.rstrip("/") for one in await self.admin.deployments()}
        old = next((one for one, kept in uris.items() if as_kept(kept) == as_kept(uri)), None)
        newer = await self._latest(old) if old is not None else {}
        latest = newer.get(self.names.service)
        if old is None or latest is None or latest == old:
            raise self._no_way(uri, uris, newest=latest is not None and latest == old)
        way = _Way(old=old, newer=newer, dry_run=dry_run)
        still_there = f"pinned_deployment_id = {literal(old)} AND status <> 'completed'"
        found = await self._rows(still_there)
        # A job that is killed takes its call of the turn with it.
        jobs = [one for one in found if one.service == self.names.service]
        others = [one for one in found if one.service != self.names.service]
        moves = [*await self._all(jobs, way), *await self._all(others, way)]
        if not dry_run:
            moves = await self._given_back(moves, way)
        return Moved(
            old=uris[old],
            latest=uris.get(latest, latest),
            moves=tuple(moves),
            still_there=len(await self._rows(still_there)),
        )

    async def _latest(self, old: str) -> dict[str, str]:
        names = [service.name for service in await self.admin.deployed(old)]
        found = [await self.admin.service(name) for name in names]
        return {one.name: one.deployment_id for one in found if one is not None}

    def _no_way(self, uri: str, uris: Mapping[str, str], *, newest: bool) -> SettingsError:
        known = ", ".join(sorted(uris.values())) or "none"
        if newest:
            return SettingsError(
                f"{uri} is the latest version of {self.names.service}: new jobs go there",
                hint="start the new version under another worker_advertised_url first, or have it"
                f" `register --make-latest`; Restate at {self.admin.url} knows {known}",
            )
        return SettingsError(
            f"Restate at {self.admin.url} knows no version of {self.names.service} at {uri}",
            hint=f"name one of those that it knows: {known}",
        )

    async def _all(self, found: Iterable[_Found], way: _Way) -> list[Move]:
        return await asyncio.gather(*(self._one(one, way) for one in found))

    async def _one(self, found: _Found, way: _Way) -> Move:
        async with self._slots:
            tenant = ""
            try:
                tenant = await self._tenant(found)
                fate, detail = await self._carried(found, tenant, way)
            except EngineError as error:
                fate, detail = Fate.LEFT, error.message
        return Move(
            execution_id=found.id,
            what=f"{found.service}/{found.handler}",
            tenant=tenant,
            state=found.status,
            fate=fate,
            detail=detail,
        )

    async def _carried(self, found: _Found, tenant: str, way: _Way) -> tuple[Fate, str]:
        if way.newer.get(found.service, way.old) == way.old:
            return Fate.LEFT, "no other version serves it"
        rival = await self._rival(found, tenant) if found.service == self.names.service else ""
        if way.dry_run:
            to_be = Fate.KILLED if rival else Fate.MOVED
            return (to_be, rival) if found.stands_still else (Fate.RUNNING, "")
        now = await self._now(found.id)
        if now is not None and now.stands_still and rival:
            killed = await self.admin.kill(found.id)
            return (Fate.KILLED if killed else Fate.ENDED), rival
        return await self._resumed(now, "latest")

    async def _resumed(self, now: _Found | None, deployment: str) -> tuple[Fate, str]:
        """Have an invocation go on elsewhere, unless it runs."""
        if now is not None and now.status == "backing-off":
            await self.admin.pause(now.id)
            now = await self._paused(now.id)
            if now is not None and now.status not in _STANDING_STILL:
                return Fate.LEFT, "it began to run, and pauses after its step: run this again then"
        if now is None:
            return Fate.ENDED, ""
        if now.stands_still and await self.admin.resume(now.id, deployment):
            return Fate.MOVED, ""
        return Fate.RUNNING, ""

    async def _paused(self, invocation_id: str) -> _Found | None:
        look = _patiently(
            lambda now: now is not None and now.status not in ("suspended", "paused"),
            max_time=self.patience,
            logger=None,
        )(self._now)
        now: _Found | None = await look(invocation_id)
        return now

    async def _given_back(self, moves: list[Move], way: _Way) -> list[Move]:
        """Let the old version go on with what the latest cannot go on with."""
        moved = {one.execution_id for one in moves if one.fate is Fate.MOVED}
        unfit = {one.id: one for one in await self._tried(moved, way) if one.failure in _UNFIT}
        for one in unfit.values():
            await self._resumed(one, way.old)
        return [
            attrs.evolve(
                one,
                fate=Fate.LEFT,
                detail=f"{_UNFIT[unfit[one.execution_id].failure]}; the old one has to end it",
            )
            if one.execution_id in unfit
            else one
            for one in moves
        ]

    async def _tried(self, moved: Iterable[str], way: _Way) -> list[_Found]:
        """Those of the moved that wait for another attempt, once all have had their first."""
        wanted = ", ".join(literal(one) for one in moved)
        if not wanted:
            return []
        running = ("running", "ready", "scheduled", "pending")
        look = _patiently(
            lambda rows: any(row.status in running for row in rows),
            max_time=FIRST_ATTEMPT,
            logger=None,
        )(self._rows)
        rows: list[_Found] = await look(f"id IN ({wanted}) AND status <> 'completed'")
        return [row for row in rows if row.status == "backing-off" and row.tried_on != way.old]

    async def _rival(self, found: _Found, tenant: str) -> str:
        """Say which job dispatched later has had the turn; empty where none has."""
        holder = (await turn_state(self.admin, self.names.turn, tenant)).holder
        if holder is None or holder.execution_id == found.id:
            return ""
        rows = await self._rows(f"id = {literal(holder.execution_id)}")
        # Restate forgets a job some days after its end; the turn was taken after it was dispatched.
        dispatched = rows[0].created_at if rows else holder.since
        if datetime.fromisoformat(dispatched) <= datetime.fromisoformat(found.created_at):
            return ""
        return f"{holder.execution_id} was dispatched later and has had the turn"

    async def _tenant(self, found: _Found) -> str:
        if found.service == self.names.turn:
            return found.tenant_key
        rows = await self.admin.query(
            f"SELECT entry_json FROM sys_journal WHERE id = {literal(found.id)} AND index = 0"  # noqa: S608  # quoted
        )
        try:
            entry = codec.loads(str(rows[0]["entry_json"]).encode(), _Entry)
            body = bytes(entry.Command["Input"].payload)
            settles = found.service == self.names.settle
            return codec.loads(body, Ended).tenant if settles else understand(body).tenant
        except (codec.BadDocument, IndexError, InvalidJob):
            # It has ended, or is refused as soon as it runs.
            return ""

    async def _now(self, invocation_id: str) -> _Found | None:
        rows = await self._rows(f"id = {literal(invocation_id)} AND status <> 'completed'")
        return rows[0] if rows else None

    async def _rows(self, where: str) -> list[_Found]:
        rows = await self.admin.query(
            "SELECT id, status, created_at, target_service_name AS service,"  # noqa: S608  # quoted
            " target_handler_name AS handler, target_service_key AS tenant_key,"
            " last_attempt_deployment_id AS tried_on, last_failure_error_code AS failure"
            f" FROM sys_invocation WHERE {where} ORDER BY created_at, id"
        )
        return [_Found(**{key: str(value) for key, value in row.items()}) for row in rows]
