import math
from datetime import UTC, date, datetime

import pytest

from landlord_engines_core.settings.json_values import find_not_json


def test_json_values_are_accepted() -> None:
    assert find_not_json({"a": [1, 1.5, "x", True, None, {"b": {}}]}, "compute") == []


@pytest.mark.parametrize(
    ("value", "expected_text"),
    [
        (date(2026, 1, 1), "compute.a[0].b is a date, which JSON cannot represent"),
        (datetime(2026, 1, 1, tzinfo=UTC), "compute.a[0].b is a time"),
        ({"x"}, "compute.a[0].b is a set"),
        (b"x", "compute.a[0].b is binary data"),
        (object(), "compute.a[0].b is a value"),
        (math.nan, "compute.a[0].b is not a finite number"),
        (-math.inf, "compute.a[0].b is not a finite number"),
        ({1: "x"}, "compute.a[0].b has a key that is no text"),
    ],
)
def test_a_value_that_json_lacks_is_named_with_its_path(value: object, expected_text: str) -> None:
    (line,) = find_not_json({"a": [{"b": value}]}, "compute")

    assert expected_text in line


def test_a_map_that_holds_itself_is_refused() -> None:
    self_containing: dict[str, object] = {}
    self_containing["a"] = self_containing

    assert find_not_json(self_containing, "compute") == ["compute is nested too deeply"]
