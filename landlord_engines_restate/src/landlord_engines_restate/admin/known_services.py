"""Services that Restate is known to have registered."""

from collections.abc import Iterable

import attrs

from landlord_engines_restate.admin.responses import RegisteredService

__all__ = ["KnownServices"]


@attrs.define
class KnownServices:
    """Names of the services that Restate was seen to know; each look at a registration adds to them."""

    _names: set[str] = attrs.field(factory=set, converter=set)

    def add(self, services: Iterable[RegisteredService]) -> None:
        """Add services that a response of the admin API shows."""
        self._names.update(service.name for service in services)

    def __contains__(self, name: str) -> bool:
        return name in self._names
