"""Delayed messages after a job: the tenant's resync, and the removal of a deleted tenant's state."""

from datetime import timedelta

import attrs
from restate import Context, ObjectContext

from landlord_engines_core import codec
from landlord_engines_core.engine import HostInfo
from landlord_engines_core.models import CompletedJob
from landlord_engines_restate.admin.known_services import KnownServices
from landlord_engines_restate.lock.state import EndResult
from landlord_engines_restate.settings import Names

__all__ = ["FORGET", "RESYNC", "FollowUps", "send_resync"]

FORGET = "forget"
"""The lock's handler that clears a tenant's state."""

RESYNC = "resync"
"""The resync service's handler, and the lock's handler that it calls."""


def send_resync(
    ctx: Context | ObjectContext, service: str, job: CompletedJob, delay: float
) -> None:
    """Send a delayed request to resync a job's tenant."""
    ctx.generic_send(service, RESYNC, codec.dumps(job), send_delay=timedelta(seconds=delay))


@attrs.frozen(kw_only=True)
class FollowUps:
    """Sends the delayed messages after a job.

    Attributes:
        names: Names of the worker's services.
        host: The delays of a resync and of ``forget``.
        known: Cache of services found registered in Restate.
    """

    names: Names
    host: HostInfo
    known: KnownServices

    def send_resync(self, ctx: ObjectContext, job: CompletedJob) -> bool:
        """Request the resync after a job; return whether the request was sent."""
        # A message to an unregistered service blocks the lock's handler.
        if not self.host.resync_after or self.names.resync not in self.known:
            return False
        send_resync(ctx, self.names.resync, job, self.host.resync_after)
        return True

    def send_after_end(self, ctx: ObjectContext, result: EndResult) -> None:
        """Send the messages that are due after a job's end."""
        if result.forget:
            ctx.generic_send(
                self.names.lock,
                FORGET,
                result.forget.encode(),
                key=ctx.key(),
                send_delay=timedelta(seconds=self.host.history_retention),
            )
        if result.resync is not None:
            _ = self.send_resync(ctx, result.resync)
