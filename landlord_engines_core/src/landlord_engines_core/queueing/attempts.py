"""One attempt of a job, with a typed result, and the pause until the next one."""

from collections.abc import Awaitable
from typing import Generic, TypeVar

import attrs

from landlord_engines_core.errors import Held, InvalidJob, Transient

__all__ = ["Ended", "Refused", "Retry", "growing_pause", "run_attempt"]

T = TypeVar("T")

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
"""Seconds between two attempts of a job that fails for a transient reason."""

_LONGEST_GROWTH = 10
"""Doublings that are computed; a float cannot hold a thousand of them."""


@attrs.frozen
class Ended(Generic[T]):
    """The job has ended, with this answer."""

    answer: T


@attrs.frozen(kw_only=True)
class Refused:
    """The job has ended, because its body can never be carried out.

    Attributes:
        status: The HTTP status for the sender, 400 to 499.
        reason: The text of the error.
    """

    status: int
    reason: str


@attrs.frozen(kw_only=True)
class Retry:
    """The job has not ended, and is due again in ``pause`` seconds.

    Attributes:
        reason: The text of the error.
    """

    pause: float
    reason: str


def growing_pause(attempt: int) -> float:
    """Return the seconds after a failed attempt, of which the first has the number 1."""
    growth = min(max(attempt - 1, 0), _LONGEST_GROWTH)
    return float(min(LONGEST_PAUSE, FIRST_PAUSE * 2**growth))


async def run_attempt(work: Awaitable[T], attempt: int) -> Ended[T] | Refused | Retry:
    """Await one attempt of a job or of a resync, and return its result.

    A cancellation passes, and so does an error of the engine's own steps.

    Args:
        work: A call of ``run_job`` or of ``resync``.
        attempt: The number of the attempt, for the pause after it.
    """
    try:
        return Ended(await work)
    except InvalidJob as error:
        return Refused(status=error.status, reason=str(error))
    except (Held, Transient) as error:
        pause = growing_pause(attempt) if error.retry_after is None else error.retry_after
        return Retry(pause=pause, reason=str(error))
