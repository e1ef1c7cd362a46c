import math
from itertools import islice

from landlord_engines_core.compute.process.backoff import backoff_delays


def test_pauses_grow_to_a_limit() -> None:
    found = list(islice(backoff_delays(math.inf), 20))

    assert found == sorted(found)
    assert found[0] == 0.01
    assert found[-1] == 0.25


def test_there_is_one_pause_at_least() -> None:
    assert list(backoff_delays(0)) == [0.01]
