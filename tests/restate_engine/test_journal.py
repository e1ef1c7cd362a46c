import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from landlord_engines_core.errors import SetApart
from landlord_engines_restate.journal import LONGEST_PAUSE, Pauses, retry_later


def test_pauses_grow_to_a_limit_for_each_step_by_itself() -> None:
    pauses = Pauses()

    grown = [pauses.next_pause("inv_1", "apply") for _ in range(9)]

    assert grown[:4] == [0.5, 1, 2, 4]
    assert grown[-1] == LONGEST_PAUSE
    assert pauses.next_pause("inv_1", "confirm") == 0.5


def test_the_pauses_of_a_step_start_short_again_after_a_success() -> None:
    pauses = Pauses()
    pauses.next_pause("inv_1", "apply")

    pauses.reset("inv_1", "apply")

    assert pauses.next_pause("inv_1", "apply") == 0.5


def test_the_number_of_remembered_steps_is_limited() -> None:
    pauses = Pauses(limit=2)
    for name in ("a", "b", "c"):
        pauses.next_pause(name, "apply")

    assert pauses.next_pause("a", "apply") == 0.5
    assert pauses.next_pause("c", "apply") == 1


@contextmanager
def passing() -> Iterator[None]:
    """As in the SDK, where a context manager writes the traceback of what passes it."""
    yield


def test_the_error_of_a_delayed_job_contains_no_path_of_this_machine() -> None:
    error = retry_later(SetApart("it waits", retry_after=1.0))

    with pytest.raises(type(error)), passing():
        raise error

    assert "".join(traceback.format_exception(error)).splitlines() == [
        "landlord_engines_restate.journal._RetryLater: LE408: it waits"
    ]
