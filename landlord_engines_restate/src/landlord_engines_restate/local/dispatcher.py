"""Stand-in for Landlord: dispatches jobs to Restate and reads their states, with Landlord's bugs.

The requests and the states were recorded from Landlord 98ffef1 with restate-server 1.7.12.
"""

from collections.abc import Mapping
from http import HTTPStatus
from io import BytesIO
from typing import Any

import aiohttp
import attrs

from landlord_engines_core import codec
from landlord_engines_core.bodies import LongBody, read_body
from landlord_engines_core.errors import EngineFailed
from landlord_engines_core.models import PolledExecution, PolledState
from landlord_engines_restate.admin import AdminClient, literal

__all__ = ["RestateDispatcher"]

TIMEOUT = aiohttp.ClientTimeout(total=30)

LONGEST_ANSWER = 1 << 16
"""Largest ingress response, in bytes, that is read. It normally has only an invocation's id."""

_LANDLORD_STATES = {
    "pending": PolledState.PENDING,
    "scheduled": PolledState.RUNNING,
    "ready": PolledState.RUNNING,
    "running": PolledState.RUNNING,
    "backing-off": PolledState.BACKING_OFF,
    "suspended": PolledState.WAITING,
    # Landlord has no state for a paused job, and waits for it indefinitely.
    "paused": PolledState.RUNNING,
    # Landlord does not read the result: a failed or killed job counts as a success.
    "completed": PolledState.SUCCEEDED,
    # Restate 1.7 never shows these two.
    "failed": PolledState.FAILED,
    "error": PolledState.FAILED,
}
"""Landlord's state for each of Restate's statuses."""


@attrs.frozen(kw_only=True)
class _SendResponse:
    invocationId: str  # noqa: N815  # Restate's name


@attrs.frozen(kw_only=True)
class _JobNames:
    tenant_uuid: str = ""
    operation: str = ""


@attrs.frozen(kw_only=True)
class RestateDispatcher:
    """Sends the requests that Landlord's controller sends to Restate.

    Attributes:
        ingress: URL of Restate's ingress.
        admin: Restate's admin API.
        service: The service's name in Landlord's requests.
    """

    ingress: str
    admin: AdminClient
    service: str

    async def dispatch(self, body: bytes) -> str:
        """Send a job and return its execution id.

        Raises:
            EngineFailed: The service is not registered, or the ingress does not accept the job.
        """
        if await self.admin.service(self.service) is None:
            raise EngineFailed(f"workflow service {self.service} is not registered yet")
        try:
            status, answer = await self._send(body)
            if status not in (HTTPStatus.OK, HTTPStatus.ACCEPTED):
                raise EngineFailed(
                    f"Restate's ingress {self.ingress} answered with status {status}"
                )
            return codec.loads(answer, _SendResponse).invocationId
        except (aiohttp.ClientError, TimeoutError) as error:
            raise EngineFailed(
                f"Restate's ingress {self.ingress} cannot be reached: {error}",
                hint="check workflow.restate.endpoint and that restate-server runs",
            ) from error
        except (codec.BadDocument, LongBody) as error:
            raise EngineFailed(
                f"Restate's ingress {self.ingress} sent an unexpected response: {error}",
                hint="check that workflow.restate.endpoint leads to Restate's ingress",
            ) from error

    async def poll(self, execution_id: str) -> PolledExecution | None:
        """Read an execution's state as Landlord does."""
        if (row := await self.read_row(execution_id)) is None:
            return None
        state = _LANDLORD_STATES[str(row["status"])]
        return PolledExecution(state=state, retry_count=int(row.get("retry_count") or 0))

    async def read_row(self, execution_id: str) -> Mapping[str, Any] | None:
        """Read Restate's complete row of an execution, if there is one."""
        sql = f"select * from sys_invocation where id = {literal(execution_id)};"  # noqa: S608  # quoted
        return next(iter(await self.admin.query(sql)), None)

    async def kill(self, execution_id: str) -> None:
        """Kill an execution, unless it has ended."""
        await self.admin.kill(execution_id)

    async def _send(self, body: bytes) -> tuple[int, bytes]:
        url = f"{self.ingress}/{self.service}/execute/send"
        headers = {"Content-Type": "application/json"}
        async with (
            aiohttp.ClientSession(headers=headers, timeout=TIMEOUT) as session,
            session.post(
                url, params={"idempotency_key": _idempotency_key(body)}, data=BytesIO(body)
            ) as response,
        ):
            return response.status, await read_body(response.content.iter_any(), LONGEST_ANSWER)


def _idempotency_key(body: bytes) -> str:
    """Return the key that Landlord sends as a query parameter, which Restate ignores."""
    # Restate reads an idempotency key only from a header.
    try:
        job = codec.loads(body, _JobNames)
    except codec.BadDocument:
        job = _JobNames()
    return f"tenant-{job.tenant_uuid}-tenant-provisioning-{job.operation}"
