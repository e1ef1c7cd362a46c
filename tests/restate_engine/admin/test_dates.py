import pytest

from landlord_engines_restate.admin import AdminUnavailable
from landlord_engines_restate.admin.dates import read_date


def test_dates_with_and_without_a_fraction_and_a_zone_can_be_compared() -> None:
    dates = ("2026-01-01T00:00:00", "2026-01-01T00:00:00.001Z", "2026-01-01T01:00:00.002+01:00")

    assert sorted(map(read_date, reversed(dates))) == [read_date(date) for date in dates]


@pytest.mark.parametrize("text", ["", "yesterday", "99999-01-01T00:00:00Z", "x" * 1000])
def test_a_text_that_is_no_date_is_reported_briefly(text: str) -> None:
    with pytest.raises(AdminUnavailable, match="instead of a date") as caught:
        read_date(text)

    assert len(caught.value.message) < 100
