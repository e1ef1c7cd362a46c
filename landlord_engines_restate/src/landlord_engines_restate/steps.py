"""A job's steps on Restate: journaled runs, the turn as one call, the end as one send."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import attrs
from restate import Context

from landlord_engines_core import codec
from landlord_engines_core.errors import EngineError, StillRunning, Superseded, Transient
from landlord_engines_core.models import Note, Record, Transition
from landlord_engines_core.steps import LostAttempts
from landlord_engines_restate import journal
from landlord_engines_restate.crash_loops import AttemptLosses
from landlord_engines_restate.rivals import Rivals
from landlord_engines_restate.states import TurnStates
from landlord_engines_restate.turn import Settle, Take, Taken

__all__ = ["RestateSteps", "SettleSteps", "TurnCalls"]

T = TypeVar("T")


@attrs.frozen(kw_only=True)
class TurnCalls:
    """The turn as a job uses it.

    Attributes:
        name: The virtual object's name.
        take: Its handler ``take``.
        end: Its handler ``end``.
        settle: Its handler ``settle``.
    """

    name: str
    take: Callable[..., Awaitable[bytes]]
    end: Callable[..., Awaitable[None]]
    settle: Callable[..., Awaitable[bytes]]


@attrs.frozen(kw_only=True)
class RestateSteps:
    """The steps of one job; made anew each time that its handler is entered."""

    execution_id: str
    ctx: Context
    turn: TurnCalls
    states: TurnStates
    rivals: Rivals
    pauses: journal.Pauses
    losses: AttemptLosses

    async def run(self, name: str, action: Callable[[], Awaitable[T]], kind: type[T]) -> T:
        """Run a step in Restate's journal."""
        return await journal.run(self.ctx, self.pauses, name, action, kind)

    async def take(self, tenant: str, note: Note) -> Record:
        """Call the turn; it answers once the holder has ended."""
        wish = codec.dumps(Take(execution_id=self.execution_id, note=note))
        return _taken(await self.ctx.object_call(self.turn.take, key=tenant, arg=wish))

    async def end(self, tenant: str, transition: Transition) -> None:
        """Send the end to the turn; a call could wait for ever behind the next job's take."""
        self.ctx.object_send(self.turn.end, key=tenant, arg=codec.dumps(transition))

    async def look(self, tenant: str) -> Record:
        """Read the turn's state over the admin API: an action has no context to call with."""
        try:
            state = await self.states.read(tenant)
            await self.rivals.check(self.execution_id, state.holder, state.record)
        except EngineError as error:
            raise Transient(error.message, hint=error.hint) from error
        return state.record

    async def lost_attempts(self) -> LostAttempts:
        """Count them by what Restate keeps of failed attempts."""
        return await self.losses.count(self.execution_id)

    def alive(self) -> None:
        """Restate needs no heartbeat."""


@attrs.frozen(kw_only=True)
class SettleSteps(RestateSteps):
    """The steps with which a tenant is settled: they give way to every job.

    Attributes:
        after: The job whose end it follows.
    """

    after: str

    async def take(self, tenant: str, note: Note) -> Record:
        """Call the turn; it answers at once."""
        wish = Settle(execution_id=self.execution_id, after=self.after, note=note)
        call = self.ctx.object_call(self.turn.settle, key=tenant, arg=codec.dumps(wish))
        return _taken(await call)

    async def look(self, tenant: str) -> Record:
        """Read the turn's state, in which the job must still be the last, and have ended."""
        try:
            state = await self.states.read(tenant)
            if rival := state.rival(self.after):
                raise Superseded(f"{rival} took the turn")
            if not state.is_over(self.after) and await self.rivals.fate(self.after) != "failure":
                raise StillRunning(f"{self.after} has not ended yet, or has yet to write its end")
        except EngineError as error:
            raise Transient(error.message, hint=error.hint) from error
        return state.record


def _taken(answer: bytes) -> Record:
    taken = codec.loads(answer, Taken)
    if taken.superseded_by:
        raise Superseded(f"{taken.superseded_by} was dispatched later")
    return taken.record
