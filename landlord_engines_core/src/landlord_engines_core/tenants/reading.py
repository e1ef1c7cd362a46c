"""Reading a job from its body without blocking the event loop."""

import asyncio

import attrs

from landlord_engines_core.errors import InvalidJob
from landlord_engines_core.metrics import JobMetrics
from landlord_engines_core.models import Job
from landlord_engines_core.tenants.parsing import parse_job

__all__ = ["JobReader", "read_tenant"]

SMALL_BODY = 256 * 1024
"""Maximum bytes of a body that is parsed in the event loop, which takes a few milliseconds."""


@attrs.frozen(kw_only=True)
class JobReader:
    """Parses bodies, large ones one at a time in a thread.

    Attributes:
        metrics: Counts the bodies that are refused.
    """

    metrics: JobMetrics
    _large: asyncio.Semaphore = attrs.field(factory=lambda: asyncio.Semaphore(1), init=False)

    async def read(self, body: bytes) -> Job:
        """Parse a body.

        Raises:
            InvalidJob: The body is not a job.
        """
        try:
            if len(body) <= SMALL_BODY:
                return parse_job(body)
            # Parsing a large body takes seconds, and many times its size in memory.
            async with self._large:
                return await asyncio.to_thread(parse_job, body)
        except InvalidJob:
            self.metrics.count_refused_body()
            raise


def read_tenant(body: bytes) -> str:
    """Read a job's tenant for a log line; empty if the body is large or not a job."""
    # Parsing a large body may kill the worker again, before the job is set apart.
    try:
        return parse_job(body).tenant if len(body) <= SMALL_BODY else ""
    except InvalidJob:
        return ""
