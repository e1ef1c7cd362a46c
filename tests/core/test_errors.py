import inspect
import math

import pytest

from landlord_engines_core import errors
from landlord_engines_core.errors import (
    LONGEST,
    LONGEST_PAUSE,
    ComputeUnavailable,
    LandlordEnginesError,
    Transient,
)

CLASSES = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, LandlordEnginesError)
]


def test_every_error_has_its_own_code_and_is_in_the_diagram() -> None:
    codes = [kind.code for kind in CLASSES]

    assert len(set(codes)) == len(codes)
    for kind in CLASSES:
        line = next(
            row
            for row in str(errors.__doc__).splitlines()
            if f" {kind.__name__} " in f" {row.strip('│├└─ ')} "
        )
        assert kind.code in line


def test_a_message_begins_with_its_code_and_ends_with_the_next_step() -> None:
    assert str(Transient("away", hint="look")) == "LE403: away; look"
    assert str(Transient("away")) == "LE403: away"


def test_a_message_can_be_written_with_any_tenant_name() -> None:
    assert str(Transient("no \ud800", hint="\ud800")).encode() == b"LE403: no \\ud800; \\ud800"


def test_a_message_has_a_bounded_length_with_any_tenant_name() -> None:
    text = str(Transient("x" * (LONGEST + 7), hint="y" * (LONGEST + 1)))

    assert "x (7 characters more); y" in text
    assert text.endswith("y (1 characters more)")
    assert len(text) < 2 * LONGEST + 100


@pytest.mark.parametrize(
    ("requested", "pause"),
    [
        (None, None),
        (0.0, 0.0),
        (7.0, 7.0),
        (86_400.0, LONGEST_PAUSE),
        (math.inf, LONGEST_PAUSE),
        (-1.0, None),
        (math.nan, None),
    ],
)
def test_a_pause_that_a_target_asks_for_is_limited(
    requested: float | None, pause: float | None
) -> None:
    assert ComputeUnavailable("busy", retry_after=requested).retry_after == pause
