from typing import Any

from landlord_engines_core.compute.docker.observe import Container, _classify


def container(at: str) -> Container:
    raw: dict[str, Any] = {"Id": at, "Name": f"/{at}", "State": {"Status": "exited"}}
    return Container({**raw, "Created": at})


def test_the_older_container_is_found_although_dates_omit_trailing_zeros() -> None:
    dates = ["2026-11-28T19:00:05Z", "2026-11-28T19:00:05.09Z", "2026-11-28T19:00:05.1Z"]

    containers = _classify(map(container, reversed(dates)), "landlord", "t")

    assert containers.current is not None
    assert [container.id for container in (containers.current, *containers.orphans)] == dates
