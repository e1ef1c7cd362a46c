"""Why a Docker daemon does not answer, as far as the connection shows it."""

from collections.abc import Iterator

from landlord_engines_core.compute.docker.answers import silent
from landlord_engines_core.errors import ComputeUnavailable

__all__ = ["unreachable"]

_SOCKET = "unix://"

_TOLD = (PermissionError, FileNotFoundError, NotADirectoryError, ConnectionRefusedError)
"""The system's errors that say more than that nobody answers."""


def unreachable(error: BaseException, host: str) -> ComputeUnavailable:
    """Tell apart what only the operator can change: no access, no socket, nothing behind it.

    Args:
        error: What the client raised; the system's own error is in its chain.
        host: The daemon's address.
    """
    cause = next((one for one in _chain(error) if isinstance(one, _TOLD)), None)
    if cause is None or not host.startswith(_SOCKET):
        return silent()
    path = host.removeprefix(_SOCKET)
    if isinstance(cause, PermissionError):
        return ComputeUnavailable(
            f"permission denied on the Docker socket {path}",
            hint="run the worker with the socket's group. In the image it is uid 10001 and in no"
            f" such group: add the one that `stat -c %g {path}` shows, in compose with group_add,"
            " in Kubernetes with supplementalGroups, with `docker run --group-add`",
        )
    if isinstance(cause, ConnectionRefusedError):
        return ComputeUnavailable(
            f"no Docker daemon listens on the socket {path}", hint="start dockerd"
        )
    return ComputeUnavailable(
        f"there is no Docker socket at {path}",
        hint="start dockerd, mount its socket into the worker's container, or set"
        " compute.docker.host or DOCKER_HOST",
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, what it was raised from, and the system's errors that aiohttp keeps in its own."""
    following: BaseException | None = error
    while following is not None:
        yield following
        system = getattr(following, "os_error", None)
        if isinstance(system, OSError):
            yield system
        following = following.__cause__ or following.__context__
