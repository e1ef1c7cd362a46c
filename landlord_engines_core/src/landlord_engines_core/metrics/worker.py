"""Metrics of the worker's own parts, read at each scrape."""

from collections.abc import Callable, Iterable, Iterator

import attrs
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from landlord_engines_core.metrics.families import PREFIX, Families

__all__ = ["WorkerMetrics"]


@attrs.frozen(eq=False)
class WorkerMetrics:
    """Shows the state of a worker's parts; each part gives functions that read it."""

    families: Families

    def watch_slots(
        self, limit: int, taken: Callable[[], float], waiting: Callable[[], float]
    ) -> None:
        """Show how many slots there are, are used and are waited for."""
        watch = self.families.watch
        watch("slots", "How many jobs may change targets at once.", lambda: limit)
        watch("slots_used", "Jobs that change targets at this moment.", taken)
        watch("slots_waiting", "Jobs that wait for a slot.", waiting)

    def watch_engine(
        self,
        states: tuple[Iterable[str], Callable[[], str]],
        registrations: tuple[Iterable[str], Callable[[], str]],
        seconds_left: Callable[[], float],
    ) -> None:
        """Show the states of the worker engine and of its registration.

        Args:
            states: All states of the engine, and a function for the current one.
            registrations: All states of the registration, and a function for the current one.
            seconds_left: Seconds until the drain is over; 0 without a drain.
        """
        help_state = "1 for the worker engine's current state, 0 for the others."
        self.families.watch_state("state", help_state, *states)
        help_registration = (
            "1 for the current state of this worker's registration, 0 for the others."
        )
        self.families.watch_state("registration", help_registration, *registrations)
        help_drain = "Seconds until the drain is over; 0 without a drain."
        self.families.watch("drain_remaining_seconds", help_drain, seconds_left)

    def watch_loop(self, silent_for: Callable[[], float], tasks: Callable[[], float]) -> None:
        """Show the age of the event loop's last heartbeat, and its tasks at that time."""
        description = (
            "Seconds since the last heartbeat of the event loop, which beats once a second."
        )
        self.families.watch("event_loop_heartbeat_age_seconds", description, silent_for)
        self.families.watch("loop_tasks", "Tasks in the event loop at its last heartbeat.", tasks)

    def watch_log(self, dropped: Callable[[], float]) -> None:
        """Show how many log lines were dropped."""
        self.families.register(_DroppedLines(dropped))

    def set_build(self, **versions: str) -> None:
        """Show names and versions of the software."""
        description = "Always 1. The labels are the versions of the software."
        self.families.info("build", description, **versions)


class _DroppedLines(Collector):
    """Collector of the log's counter."""

    def __init__(self, dropped: Callable[[], float]) -> None:
        self._dropped = dropped

    def collect(self) -> Iterator[Metric]:
        yield CounterMetricFamily(
            f"{PREFIX}log_lines_dropped",
            "Log lines that standard error did not accept because its reader is too slow, or has ended.",
            value=self._dropped(),
        )
