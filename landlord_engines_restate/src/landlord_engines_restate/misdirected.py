"""What answers at the admin API's URL, where it is another server: the usual ones are told by name."""

from collections.abc import Awaitable, Callable

from landlord_engines_core.errors import EngineError

__all__ = ["who_answers"]

_OTHERS = (
    ("/version", b'"min_admin_api_version"', ""),
    ("/restate/health", b'"services"', "Restate's ingress"),
    ("/v1/tenants?limit=1", b'"tenants"', "Landlord's API"),
)
"""A path, a part of the answer, and whose it is; observed on restate-server 1.7.12 and Landlord
98ffef1. The first is the admin API itself."""


async def who_answers(get: Callable[[str], Awaitable[bytes]]) -> str:
    """Name the server that answers instead of the admin API; empty where that is not known.

    Args:
        get: Reads a path, and raises EngineError where that gives nothing usable.
    """
    for path, part, whose in _OTHERS:
        try:
            body = await get(path)
        except EngineError:
            continue
        if part in body:
            return whose
    return ""
