"""Claims: journaled answers to the lock's questions about jobs.

Does another job go first? Has a job failed? Restate gives another answer later, and a replayed handler
must take the same branch again. So a handler reads every answer from its journal.
"""

from functools import partial

import attrs
from restate import ObjectContext

from landlord_engines_core.models import Record
from landlord_engines_restate import journal
from landlord_engines_restate.lock.ordering import (
    Claim,
    DispatchOrder,
    Holder,
    LockRequest,
    Verdict,
)

__all__ = ["Claims"]

_STEP = "claim"


@attrs.frozen(kw_only=True)
class Claims:
    """Asks about jobs and journals the answers.

    Attributes:
        order: Asks Restate, and compares jobs.
        pauses: Pauses between retries of a question.
    """

    order: DispatchOrder
    pauses: journal.Pauses

    async def compare(
        self,
        ctx: ObjectContext,
        lock_request: LockRequest,
        holder: Holder,
        record: Record,
        *,
        kill_running: bool = False,
    ) -> Claim:
        """Compare the job that asks for the lock with the holder; see `DispatchOrder.compare`."""
        compare = partial(
            self.order.compare, lock_request, holder, record, kill_running=kill_running
        )
        return await journal.run(ctx, self.pauses, _STEP, compare, Claim)

    async def has_failed(self, ctx: ObjectContext, execution_id: str) -> bool:
        """Whether a job ended without success; see `DispatchOrder.has_failed`."""
        ask = partial(self._ask_failed, execution_id)
        return (await journal.run(ctx, self.pauses, _STEP, ask, Claim)).verdict == Verdict.FREE

    async def _ask_failed(self, execution_id: str) -> Claim:
        # This yes or no is journaled as a Claim, because journals of released versions contain Claims.
        failed = await self.order.has_failed(execution_id)
        return Claim(verdict=Verdict.FREE if failed else Verdict.RUNNING)
