from typing import Any

from landlord_engines_core.compute.docker.observe import Container, _classify


def made(at: str) -> Container:
    shown: dict[str, Any] = {"Id": at, "Name": f"/{at}", "State": {"Status": "exited"}}
    return Container({**shown, "Created": at})


def test_the_older_one_is_told_by_dates_whose_last_zeros_are_left_out() -> None:
    dates = ["2026-11-28T19:00:05Z", "2026-11-28T19:00:05.09Z", "2026-11-28T19:00:05.1Z"]

    found = _classify(map(made, reversed(dates)), "landlord", "t")

    assert found.current is not None
    assert [one.id for one in (found.current, *found.orphans)] == dates
