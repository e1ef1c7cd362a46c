"""A job's steps on Restate: journaled runs, the turn as one call, the end as one send."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import attrs
from restate import Context

from landlord_engines_core import codec
from landlord_engines_core.errors import EngineError, Superseded, Transient
from landlord_engines_core.models import Note, Record, Transition
from landlord_engines_restate import journal
from landlord_engines_restate.admin import AdminClient, literal
from landlord_engines_restate.rivals import Rivals
from landlord_engines_restate.turn import STATE, Take, Taken, TurnState

__all__ = ["RestateSteps", "TurnCalls"]

T = TypeVar("T")


@attrs.frozen(kw_only=True)
class TurnCalls:
    """The turn as a job uses it.

    Attributes:
        name: The virtual object's name.
        take: Its handler ``take``.
        end: Its handler ``end``.
    """

    name: str
    take: Callable[..., Awaitable[bytes]]
    end: Callable[..., Awaitable[None]]


@attrs.frozen(kw_only=True)
class RestateSteps:
    """The steps of one job; made anew each time that its handler is entered."""

    execution_id: str
    ctx: Context
    turn: TurnCalls
    admin: AdminClient
    rivals: Rivals
    pauses: journal.Pauses

    async def run(self, name: str, action: Callable[[], Awaitable[T]], kind: type[T]) -> T:
        """Run a step in Restate's journal."""
        return await journal.run(self.ctx, self.pauses, name, action, kind)

    async def take(self, tenant: str, note: Note) -> Record:
        """Call the turn; it answers once the holder has ended."""
        wish = codec.dumps(Take(execution_id=self.execution_id, note=note))
        answer = await self.ctx.object_call(self.turn.take, key=tenant, arg=wish)
        taken = codec.loads(answer, Taken)
        if taken.superseded_by:
            raise Superseded(f"{taken.superseded_by} was dispatched later")
        return taken.record

    async def end(self, tenant: str, transition: Transition) -> None:
        """Send the end to the turn; a call could wait for ever behind the next job's take."""
        self.ctx.object_send(self.turn.end, key=tenant, arg=codec.dumps(transition))

    async def look(self, tenant: str) -> Record:
        """Read the turn's state over the admin API: an action has no context to call with."""
        try:
            rows = await self.admin.query(
                "SELECT value_utf8 FROM state"  # noqa: S608  # each value is quoted
                f" WHERE service_name = {literal(self.turn.name)}"
                f" AND service_key = {literal(tenant)} AND key = {literal(STATE)}"
            )
            raw = str(rows[0]["value_utf8"]).encode() if rows else b"{}"
            state = codec.loads(raw, TurnState)
            await self.rivals.check(self.execution_id, state.holder)
        except EngineError as error:
            raise Transient(error.message, hint=error.hint) from error
        return state.record

    def alive(self) -> None:
        """Restate needs no heartbeat."""
