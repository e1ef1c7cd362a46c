"""Names of other servers that a misconfigured admin URL may lead to."""

from collections.abc import Awaitable, Callable

from landlord_engines_core.errors import EngineError

__all__ = ["identify_server"]

_SERVERS = (
    # The admin API comes first, so that it is never reported as another server.
    ("/version", b'"min_admin_api_version"', ""),
    ("/restate/health", b'"services"', "Restate's ingress"),
    ("/v1/tenants?limit=1", b'"tenants"', "Landlord's API"),
)
"""A path, a part of the response, and the server's name.

Observed on restate-server 1.7.12 and Landlord 98ffef1.
"""


async def identify_server(get: Callable[[str], Awaitable[bytes]]) -> str:
    """Name the server that answers instead of the admin API; empty if it is unknown.

    Args:
        get: Reads a path, and raises EngineError if the response is unusable.
    """
    for path, part, server in _SERVERS:
        try:
            body = await get(path)
        except EngineError:
            continue
        if part in body:
            return server
    return ""
