"""The only user of backoff: calls that are repeated after growing pauses.

backoff has been archived, and its decorators break on Python 3.16, which drops
`asyncio.iscoroutinefunction`. Only this module has to change then.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, TypeVar

import backoff

__all__ = ["jittered_pauses", "poll", "retry"]

T = TypeVar("T")
E = TypeVar("E", bound=Exception)

Report = Callable[[E, int, float], object]
"""Function that takes an attempt's error, the attempt's number, and the seconds until the next one."""


async def poll(
    call: Callable[[], Awaitable[T]],
    is_undecided: Callable[[T], bool],
    *,
    first: float,
    longest: float,
    within: float | None = None,
    tries: int | None = None,
) -> T:
    """Repeat a call while its result is undecided, and return the last result, also an undecided one.

    Args:
        call: The call.
        is_undecided: Whether to call again.
        first: Seconds of the first pause; each further one is twice as long.
        longest: Seconds of a pause at most.
        within: Seconds until the last call begins, if there is a limit.
        tries: Calls at most, if there is a limit.
    """

    async def attempt() -> T:
        return await call()

    repeat = backoff.on_predicate(
        backoff.expo,
        is_undecided,
        factor=first,
        max_value=longest,
        max_time=within,
        max_tries=tries,
        jitter=None,
        logger=None,
    )
    return await repeat(attempt)()


async def retry(
    call: Callable[[], Awaitable[T]],
    error: type[E] | tuple[type[E], ...],
    *,
    first: float,
    longest: float,
    within: float | None = None,
    report: Report[E] | None = None,
) -> T:
    """Repeat a call while it raises an error, and return its result. Pauses are random, up to their maximum.

    Args:
        call: The call.
        error: The errors after which to call again; any other one leaves this function.
        first: Seconds of the first pause at most; each further one may be twice as long.
        longest: Seconds of a pause at most.
        within: Seconds after which the error leaves this function, if there is a limit.
        report: Is called before each pause.
    """

    async def attempt() -> T:
        return await call()

    def report_retry(details: Mapping[str, Any]) -> None:
        if report is not None:
            report(details["exception"], details["tries"], details["wait"])

    repeat = backoff.on_exception(
        backoff.expo,
        error,
        factor=first,
        max_value=longest,
        max_time=within,
        on_backoff=report_retry,
        logger=None,
    )
    return await repeat(attempt)()


def jittered_pauses(longest: float) -> Iterator[float]:
    """Yield random pauses, up to a maximum that grows from 1 s to ``longest``."""
    bounds = backoff.expo(factor=1, max_value=longest)
    next(bounds)  # backoff's generators yield nothing first
    return (backoff.full_jitter(bound) for bound in bounds)
