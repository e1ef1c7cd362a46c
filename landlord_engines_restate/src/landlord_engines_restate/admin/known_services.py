"""Cache of services found registered in Restate."""

from collections.abc import Iterable

import attrs

from landlord_engines_restate.admin.responses import RegisteredService

__all__ = ["KnownServices"]


@attrs.define
class KnownServices:
    """Cache of services found registered in Restate; each check of a registration adds to it."""

    _names: set[str] = attrs.field(factory=set, converter=set)

    def add(self, services: Iterable[RegisteredService]) -> None:
        """Add services from a response of the admin API."""
        self._names.update(service.name for service in services)

    def __contains__(self, name: str) -> bool:
        return name in self._names
