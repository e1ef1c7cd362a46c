"""Steps in Restate's journal: serialization of their values, and translation of their errors.

Operators and Landlord see the message of a failed step in Restate. That message therefore contains no
traceback, no path and no value of a configuration.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import timedelta
from http import HTTPStatus
from typing import Generic, TypeVar

import attrs
from restate import Context, RunOptions, SdkInternalBaseException, TerminalError
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

__all__ = ["JournalSerde", "Pauses", "drop_traceback", "retry_later", "run", "run_handler"]

T = TypeVar("T")

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
"""Seconds between two attempts of a step that fails for a transient reason."""

_SUPERSEDED = HTTPStatus.GONE
"""Status of a superseded job's journaled failure; no other failure has it."""

_REFUSED = HTTPStatus.UNPROCESSABLE_ENTITY
"""Status of a journaled refusal that ends the job instead of holding it. A cancellation has 409."""


class JournalSerde(Serde[T], Generic[T]):
    """Writes attrs values as JSON and reads them back. Unknown keys are ignored."""

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
    """Pauses of failing steps. A step's pause doubles from attempt to attempt."""

    # The SDK does not expose a step's attempt number, so this process counts. A new process starts with
    # short pauses again.
    limit: int = 10_000
    _attempts: OrderedDict[tuple[str, str], int] = attrs.field(factory=OrderedDict, init=False)

    def next_pause(self, execution_id: str, step: str) -> float:
        """Return the seconds until the next attempt of this step, and count the attempt."""
        key = (execution_id, step)
        attempt = self._attempts.pop(key, 0)
        self._attempts[key] = attempt + 1
        while len(self._attempts) > self.limit:
            self._attempts.popitem(last=False)
        # Without a limit of the exponent, a job that fails for weeks would overflow a float.
        return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(attempt, 10))

    def reset(self, execution_id: str, step: str) -> None:
        """Forget the attempts of a step that has succeeded."""
        self._attempts.pop((execution_id, step), None)


class _RetryLater(RetryableError):
    """Ends an attempt outside of any step. Restate retries the job after a pause."""

    @property
    def __traceback__(self) -> None:
        """Return no traceback: the SDK would send one, with paths of this machine, to Restate."""

    @__traceback__.setter
    def __traceback__(self, value: object) -> None:
        """Drop the traceback."""


def retry_later(error: SetApart) -> RetryableError:
    """Return the error for which Restate retries a job later."""
    assert error.retry_after is not None, "a job that is set apart has a time of retry"
    return _RetryLater(str(error), retry_after=timedelta(seconds=error.retry_after))


async def run(
    ctx: Context, pauses: Pauses, name: str, action: Callable[[], Awaitable[T]], kind: type[T]
) -> T:
    """Run a journaled step, and translate its failures to Restate's errors and back.

    Raises:
        Superseded: The action raised it.
        InvalidJob: The action raised it with status 422.
        TerminalError: The action raised InvalidJob with another status, or the invocation was
            cancelled.
    """
    options: RunOptions[T] = RunOptions(serde=JournalSerde(kind))

    async def attempt() -> T:
        execution_id = ctx.request().id
        try:
            value = await action()
        except (JobError, EngineError) as error:
            raise _to_restate_error(error, pauses, execution_id, name) from None
        pauses.reset(execution_id, name)
        return value

    try:
        return await ctx.run_typed(name, attempt, options)
    except TerminalError as error:
        if error.status_code == _SUPERSEDED:
            raise Superseded(error.message) from error
        if error.status_code == _REFUSED:
            message = error.message.removeprefix(f"{InvalidJob.code}: ")
            raise InvalidJob(message, status=_REFUSED) from error
        raise


def _to_restate_error(
    error: JobError | EngineError, pauses: Pauses, execution_id: str, name: str
) -> TerminalError | RetryableError:
    # A terminal error is journaled and ends the step. After a retryable error Restate runs it again.
    if isinstance(error, InvalidJob):
        return TerminalError(str(error), status_code=error.status)
    if isinstance(error, Superseded):
        return TerminalError(error.message, status_code=_SUPERSEDED)
    pause = error.retry_after if isinstance(error, Held | Transient) else None
    if pause is None:
        pause = pauses.next_pause(execution_id, name)
    return RetryableError(str(error), retry_after=timedelta(seconds=pause))


async def run_handler(work: Awaitable[T]) -> T:
    """Run a handler's body, and free its frames at once if Restate suspends it."""
    try:
        return await work
    except SdkInternalBaseException as error:
        raise drop_traceback(error) from None


def drop_traceback(error: SdkInternalBaseException) -> SdkInternalBaseException:
    """Remove the traceback of the SDK's error for a suspended handler or a failed step."""
    # A task of the SDK keeps this error, and the error's traceback keeps the task and every frame. That
    # is a reference cycle for each step of each job. A failed step's cause makes a second cycle through a
    # frame of the SDK. With thousands of jobs waiting for a slot, garbage collection then stopped the
    # worker for seconds (observed: 2.9 s).
    if error.__cause__ is not None:
        error.__cause__.__traceback__ = None
    return error.with_traceback(None)
