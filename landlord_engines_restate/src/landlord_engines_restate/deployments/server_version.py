"""The oldest restate-server that a worker registers with.

1.7.2 and 1.7.12 were tested. Jobs also run on 1.6.1, but `landlord-host move` finds no backing-off jobs
there, because that version shows them in another form.
"""

import re

from landlord_engines_core.errors import RegistrationRefused
from landlord_engines_restate.admin import AdminClient, AdminRefused

__all__ = ["refuse_too_old"]

_OLDEST = (1, 7)
_VERSION = re.compile(r"(\d+)\.(\d+)")


async def refuse_too_old(admin: AdminClient) -> None:
    """Refuse a server that is too old; accept one without a readable version.

    Raises:
        RegistrationRefused: The server is too old.
        AdminUnavailable: The server gave no usable response.
    """
    try:
        version = await admin.version()
    except AdminRefused:
        return
    match = _VERSION.match(version)
    if match is not None and (int(match[1]), int(match[2])) < _OLDEST:
        oldest = ".".join(map(str, _OLDEST))
        raise RegistrationRefused(
            f"restate-server {version} at {admin.url} is too old: this worker needs {oldest} or later",
            hint=f"upgrade restate-server to {oldest} or later",
        )
