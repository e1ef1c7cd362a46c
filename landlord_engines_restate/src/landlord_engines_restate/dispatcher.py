"""Landlord's part: dispatching jobs to Restate and reading their state, its misreadings included.

The requests and the mapping were recorded from Landlord 98ffef1 with restate-server 1.7.12.
"""

from collections.abc import Mapping
from http import HTTPStatus
from io import BytesIO

import aiohttp
import attrs

from landlord_engines_core import codec
from landlord_engines_core.bodies import LongBody, read_body
from landlord_engines_core.errors import EngineFailed
from landlord_engines_restate.admin import AdminClient, literal

__all__ = ["RestateDispatcher"]

TIMEOUT = aiohttp.ClientTimeout(total=30)

LONGEST_ANSWER = 1 << 16
"""Bytes of one answer of the ingress that are read, at most; it holds an id."""

_STATES = {
    "pending": ("pending", "waiting"),
    "scheduled": ("running", "running"),
    "ready": ("running", "running"),
    "running": ("running", "running"),
    "backing-off": ("running", "backing-off"),
    "suspended": ("running", "waiting"),
    # Landlord knows no paused job; it waits for it for ever.
    "paused": ("running", "running"),
    # However it was completed: a failed or killed job is a success to Landlord.
    "completed": ("succeeded", "succeeded"),
    # Restate 1.7 never says these two.
    "failed": ("failed", "failed"),
    "error": ("failed", "failed"),
}


@attrs.frozen(kw_only=True)
class _Accepted:
    invocationId: str  # noqa: N815  # Restate's name


@attrs.frozen(kw_only=True)
class _Named:
    tenant_uuid: str = ""
    operation: str = ""


@attrs.frozen(kw_only=True)
class RestateDispatcher:
    """Does on Restate what Landlord's controller does.

    Attributes:
        ingress: Restate's ingress.
        admin: Restate's admin API.
        service: What Landlord calls the service.
    """

    ingress: str
    admin: AdminClient
    service: str

    async def dispatch(self, body: bytes) -> str:
        """Send a job.

        Raises:
            EngineFailed: The service is not registered, or the ingress does not take the job.
        """
        if await self.admin.service(self.service) is None:
            raise EngineFailed(f"workflow service {self.service} is not registered yet")
        try:
            status, answer = await self._send(body)
            if status not in (HTTPStatus.OK, HTTPStatus.ACCEPTED):
                raise EngineFailed(
                    f"Restate's ingress {self.ingress} answered with status {status}"
                )
            return codec.loads(answer, _Accepted).invocationId
        except (aiohttp.ClientError, TimeoutError) as error:
            raise EngineFailed(
                f"Restate's ingress {self.ingress} cannot be reached: {error}",
                hint="check workflow.restate.endpoint and that restate-server runs",
            ) from error
        except (codec.BadDocument, LongBody) as error:
            raise EngineFailed(
                f"Restate's ingress {self.ingress} answered with something else: {error}"
            ) from error

    async def poll(self, execution_id: str) -> Mapping[str, object]:
        """Read an execution's state the way Landlord does; ``row`` is all that Restate shows."""
        sql = f"select * from sys_invocation where id = {literal(execution_id)};"  # noqa: S608  # quoted
        rows = await self.admin.query(sql)
        if not rows:
            return {"error": "execution not found"}
        state, sub_state = _STATES[str(rows[0]["status"])]
        retries = rows[0].get("retry_count", 0)
        return {"state": state, "sub_state": sub_state, "retry_count": retries, "row": rows[0]}

    async def kill(self, execution_id: str) -> None:
        """Kill an execution; one that has ended is left alone."""
        await self.admin.kill(execution_id)

    async def _send(self, body: bytes) -> tuple[int, bytes]:
        url = f"{self.ingress}/{self.service}/execute/send"
        headers = {"Content-Type": "application/json"}
        async with (
            aiohttp.ClientSession(headers=headers, timeout=TIMEOUT) as session,
            session.post(
                url, params={"idempotency_key": _key(body)}, data=BytesIO(body)
            ) as response,
        ):
            return response.status, await read_body(response.content.iter_any(), LONGEST_ANSWER)


def _key(body: bytes) -> str:
    """The key that Landlord sends as a query parameter, and that Restate ignores."""
    try:
        named = codec.loads(body, _Named)
    except codec.BadDocument:
        named = _Named()
    return f"tenant-{named.tenant_uuid}-tenant-provisioning-{named.operation}"
