"""HTTP connections to AWS, which read an answer only up to a limit."""

from typing import Any

import attrs
from aiobotocore.awsrequest import AioAWSResponse
from aiobotocore.httpsession import AIOHTTPSession
from botocore.awsrequest import AWSPreparedRequest

from landlord_engines_core.bodies import LongBody, read_body
from landlord_engines_core.errors import ComputeUnavailable

__all__ = ["LONGEST_BODY", "BoundedSession"]

LONGEST_BODY = 16 << 20
"""Largest answer in bytes: 16 MiB. ECS describes one service in some KiB, its last 100 events included."""


@attrs.frozen
class _Body:
    """A body that was read, as botocore reads it."""

    content: bytes

    async def read(self) -> bytes:
        return self.content


class BoundedSession(AIOHTTPSession):
    """Session whose answers are read up to a limit. aiobotocore alone reads each one to its end."""

    # The stubs of aiobotocore name the types of `requests`; these are the ones that it passes.
    async def send(self, request: AWSPreparedRequest) -> AioAWSResponse:  # type: ignore[override]
        """Send a request and read the answer.

        Raises:
            ComputeUnavailable: The answer is longer than the limit.
        """
        # aiobotocore leaves the body of such a request to the caller.
        request.stream_output = True
        answer: Any = await super().send(request)  # type: ignore[arg-type]
        content = await _read_content(answer.raw)
        return AioAWSResponse(answer.url, answer.status_code, answer.headers, _Body(content))


async def _read_content(raw: Any) -> bytes:
    """Read the body of aiohttp's response, and close the response if it is not read to its end."""
    try:
        return await read_body(raw.content.iter_any(), LONGEST_BODY)
    except BaseException as error:
        raw.close()
        if isinstance(error, LongBody):
            raise ComputeUnavailable(
                f"the answer from AWS is too long: {error}",
                hint="check that compute.ecs.endpoint_url is the address of AWS",
            ) from error
        raise
