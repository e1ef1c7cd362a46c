"""Which restate-servers are too old.

1.7.2 and 1.7.12 were run. On 1.6.1 jobs run too, but `landlord-host move` finds nothing to move: what
backs off shows otherwise there.
"""

import re

from landlord_engines_core.errors import RegistrationRefused
from landlord_engines_restate.admin import AdminClient, AdminRefused

__all__ = ["refuse_too_old"]

_OLDEST = (1, 7)
_VERSION = re.compile(r"(\d+)\.(\d+)")


async def refuse_too_old(admin: AdminClient) -> None:
    """Ask the server for its version; one that tells none, or none of this form, is not refused.

    Raises:
        RegistrationRefused: It is too old.
        AdminUnavailable: It does not answer.
    """
    try:
        version = await admin.version()
    except AdminRefused:
        return
    found = _VERSION.match(version)
    if found is not None and (int(found[1]), int(found[2])) < _OLDEST:
        wanted = ".".join(map(str, _OLDEST))
        raise RegistrationRefused(
            f"restate-server {version} at {admin.url} is too old: this worker needs {wanted} or later",
            hint=f"upgrade restate-server to {wanted} or later",
        )
