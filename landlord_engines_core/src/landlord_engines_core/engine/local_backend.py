"""A backend on this machine, and a stand-in for Landlord in front of any backend."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol

import attrs

from landlord_engines_core.models import PolledExecution

__all__ = ["Dispatcher", "LocalBackend", "StartLocalBackend"]


class Dispatcher(Protocol):
    """Stand-in for Landlord: starts and polls jobs as Landlord does, with its misreadings."""

    async def dispatch(self, body: bytes) -> str:
        """Send a job.

        Returns:
            The execution id.
        """

    async def poll(self, execution_id: str) -> PolledExecution | None:
        """Read an execution as Landlord does; ``None`` if the backend does not know it."""

    async def kill(self, execution_id: str) -> None:
        """Stop an execution the way Landlord does; leave an ended one alone."""


@attrs.frozen(kw_only=True)
class LocalBackend:
    """A backend on this machine.

    Attributes:
        settings: The worker's settings to reach the backend, as keys of ``workflow.<name>``.
        dispatcher: Starts and polls jobs there.
        more_workers: Returns what one more worker on this machine needs other than ``settings``, for
            example an address of its own; ``None`` if nothing.
    """

    settings: Mapping[str, str]
    dispatcher: Dispatcher
    more_workers: Callable[[], Mapping[str, str]] | None = None


StartLocalBackend = Callable[[Any, Path], AbstractAsyncContextManager[LocalBackend]]
"""Function that starts a local backend, given the engine's settings and a folder for its data.

The settings are an instance of ``settings_type``, for example for the names of services.
"""
