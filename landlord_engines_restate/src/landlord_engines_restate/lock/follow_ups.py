"""Delayed messages that follow on a job: its tenant's resync, and forgetting a deleted tenant."""

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
    """Send a delayed request for the resync of a tenant after a job."""
    ctx.generic_send(service, RESYNC, codec.dumps(job), send_delay=timedelta(seconds=delay))


@attrs.frozen(kw_only=True)
class FollowUps:
    """Sends the messages that follow on a job.

    Attributes:
        names: Names of the worker's services.
        host: The delays of a resync, and of forgetting.
        known: The services that Restate was seen to know.
    """

    names: Names
    host: HostInfo
    known: KnownServices

    def send_resync(self, ctx: ObjectContext, job: CompletedJob) -> bool:
        """Send for a tenant's resync after a job; return whether that was possible."""
        # Restate blocks a message to a service that it does not know, and the lock's handler with it.
        if not self.host.resync_after or self.names.resync not in self.known:
            return False
        send_resync(ctx, self.names.resync, job, self.host.resync_after)
        return True

    def send_after_end(self, ctx: ObjectContext, result: EndResult) -> None:
        """Send the messages that an end asks for."""
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
