"""Steps in Restate's journal: how their values are written and how their failures are told.

Restate keeps the message of a failed step where operators and Landlord see it. Only messages of our
own errors go there: no traceback, no path, no value of a configuration.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import timedelta
from http import HTTPStatus
from typing import Generic, TypeVar

import attrs
from restate import Context, RunOptions, TerminalError
from restate.exceptions import RetryableError
from restate.serde import Serde

from landlord_engines_core import codec
from landlord_engines_core.errors import (
    EngineError,
    Held,
    InvalidJob,
    JobError,
    SetApart,
    Superseded,
    Transient,
)

__all__ = ["JournalSerde", "Pauses", "put_off", "run"]

T = TypeVar("T")

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
"""Seconds between two attempts of a step that fails for a passing reason."""

_SUPERSEDED = HTTPStatus.GONE
"""Tells a superseded job's journaled failure from all others; nothing else ends with it."""

_REFUSED = HTTPStatus.UNPROCESSABLE_ENTITY
"""Tells that of a job that would be held and is ended instead; a cancellation is a 409."""


class JournalSerde(Serde[T], Generic[T]):
    """Writes attrs values as JSON and reads them back, unknown keys ignored."""

    def __init__(self, kind: type[T]) -> None:
        self._kind = kind

    def serialize(self, obj: T | None) -> bytes:
        """Write a value."""
        return codec.dumps(obj)

    def deserialize(self, buf: bytes) -> T | None:
        """Read a value back."""
        return codec.loads(buf, self._kind)


@attrs.define
class Pauses:
    """How long each failing step waits, growing from attempt to attempt.

    The SDK tells no attempt number, so that they are counted here; a new process starts over.
    """

    limit: int = 10_000
    _attempts: OrderedDict[tuple[str, str], int] = attrs.field(factory=OrderedDict, init=False)

    def longer(self, execution_id: str, step: str) -> float:
        """Seconds until the next attempt of this step."""
        key = (execution_id, step)
        attempt = self._attempts.pop(key, 0)
        self._attempts[key] = attempt + 1
        while len(self._attempts) > self.limit:
            self._attempts.popitem(last=False)
        # The exponent is capped too: a job that fails for weeks must not overflow a float.
        return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(attempt, 10))

    def over(self, execution_id: str, step: str) -> None:
        """Forget a step that has succeeded."""
        self._attempts.pop((execution_id, step), None)


class _PutOff(RetryableError):
    """Ends an attempt outside of any step."""

    @property
    def __traceback__(self) -> None:
        """Nothing: the SDK sends it to Restate, which would show paths of this machine."""

    @__traceback__.setter
    def __traceback__(self, value: object) -> None:
        """Keep nothing."""


def put_off(error: SetApart) -> RetryableError:
    """Tell Restate to try a job again that has begun nothing."""
    assert error.retry_after is not None, "a job is set apart for a time"
    return _PutOff(str(error), retry_after=timedelta(seconds=error.retry_after))


async def run(
    ctx: Context, pauses: Pauses, name: str, action: Callable[[], Awaitable[T]], kind: type[T]
) -> T:
    """Run a journaled step, its failures told in Restate's terms.

    Raises:
        Superseded: As the action raised it.
        InvalidJob: As the action raised it, with status 422.
        TerminalError: The action raised InvalidJob otherwise, or the invocation was cancelled.
    """
    options: RunOptions[T] = RunOptions(serde=JournalSerde(kind))

    async def attempt() -> T:
        execution_id = ctx.request().id
        try:
            value = await action()
        except (JobError, EngineError) as error:
            raise _translated(error, pauses, execution_id, name) from None
        pauses.over(execution_id, name)
        return value

    try:
        return await ctx.run_typed(name, attempt, options)
    except TerminalError as error:
        if error.status_code == _SUPERSEDED:
            raise Superseded(error.message) from error
        if error.status_code == _REFUSED:
            told = error.message.removeprefix(f"{InvalidJob.code}: ")
            raise InvalidJob(told, status=_REFUSED) from error
        raise


def _translated(
    error: JobError | EngineError, pauses: Pauses, execution_id: str, name: str
) -> TerminalError | RetryableError:
    if isinstance(error, InvalidJob):
        return TerminalError(str(error), status_code=error.status)
    if isinstance(error, Superseded):
        return TerminalError(error.message, status_code=_SUPERSEDED)
    pause = error.retry_after if isinstance(error, Held | Transient) else None
    if pause is None:
        pause = pauses.longer(execution_id, name)
    return RetryableError(str(error), retry_after=timedelta(seconds=pause))
