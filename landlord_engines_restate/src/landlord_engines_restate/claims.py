"""What a lock asks about jobs, each question a step of its journal."""

from functools import partial

import attrs
from restate import ObjectContext

from landlord_engines_core.models import Record
from landlord_engines_restate import journal
from landlord_engines_restate.ordering import Bid, Claim, DispatchOrder, Holder, Verdict

__all__ = ["Claims"]

_STEP = "claim"


@attrs.frozen(kw_only=True)
class Claims:
    """Asks, and keeps the answer in the journal.

    Attributes:
        order: Compares jobs.
        pauses: Of questions that get no answer.
    """

    order: DispatchOrder
    pauses: journal.Pauses

    async def ask(
        self,
        ctx: ObjectContext,
        bid: Bid,
        holder: Holder,
        record: Record,
        *,
        insist: bool = False,
    ) -> Claim:
        """Compare the job that wants the lock with the one that has it; see `DispatchOrder.claim`."""
        judge = partial(self.order.claim, bid, holder, record, insist=insist)
        return await journal.run(ctx, self.pauses, _STEP, judge, Claim)

    async def was_killed(self, ctx: ObjectContext, execution_id: str) -> bool:
        """Whether Restate shows a job without an end as ended, and not by its own success."""
        fate = partial(self._fate, execution_id)
        return (await journal.run(ctx, self.pauses, _STEP, fate, Claim)).verdict == Verdict.FREE

    async def _fate(self, execution_id: str) -> Claim:
        killed = await self.order.fate(execution_id) == "failure"
        return Claim(verdict=Verdict.FREE if killed else Verdict.RUNNING)
