"""Translation of a Docker daemon's errors to this project's errors.

A daemon's message may quote a configuration, so no message is passed on. Each known cause has a
message here.
"""

from collections.abc import Iterator

from landlord_engines_core.errors import ComputeRefused, ComputeUnavailable

__all__ = [
    "NO_CONNECTION",
    "Conflict",
    "NotFound",
    "StartFailed",
    "connection_error",
    "no_answer_error",
    "to_error",
]

NO_CONNECTION = 900
"""Status that aiodocker sets if it cannot reach the daemon."""

_NOT_FOUND, _CONFLICT = 404, 409

_CAUSES = {
    "port is already allocated": "a host port in $.ports is taken",
    "address already in use": "a host port in $.ports is taken",
    "executable file not found": "the image does not have the command",
    "exec format error": "the image is for another CPU architecture",
    "unable to find user": "the image does not have the user in $.user",
    "no command specified": "the image has no command, and $.command names none",
    "range of cpus": "$.resources.cpu is more than the daemon's machine has",
    "memory limit": "$.resources.memory is less than the daemon allows",
    "invalid reference format": "$.image is not an image reference",
    "network of a non running container": "the container that $.network_mode names does not run",
}
"""Parts of a daemon's messages in lower case, and the cause that each one shows."""

_NO_SPACE = ("no space left", "disk quota exceeded")

_SOCKET = "unix://"

_KNOWN_OS_ERRORS = (PermissionError, FileNotFoundError, NotADirectoryError, ConnectionRefusedError)
"""Errors of the operating system whose cause an operator can remove."""


class NotFound(ComputeUnavailable):
    """An object that the daemon does not have, or no longer has. The caller observes again."""


class Conflict(ComputeUnavailable):
    """A change that collides with another client's change. The caller observes again."""


class StartFailed(ComputeUnavailable):
    """A container that the daemon failed to start, and may never start."""


def no_answer_error() -> ComputeUnavailable:
    """Return the error for a daemon that does not answer, or not as a Docker daemon does."""
    return ComputeUnavailable(
        "the Docker daemon does not answer", hint="check compute.docker.host and DOCKER_HOST"
    )


def connection_error(error: BaseException, host: str) -> ComputeUnavailable:
    """Return the error for a failed connection, with the cause if an operator can remove it.

    Args:
        error: The client's error; the operating system's error is in its chain.
        host: The daemon's address.
    """
    cause = next((link for link in _chain(error) if isinstance(link, _KNOWN_OS_ERRORS)), None)
    if cause is None or not host.startswith(_SOCKET):
        return no_answer_error()
    path = host.removeprefix(_SOCKET)
    if isinstance(cause, PermissionError):
        return ComputeUnavailable(
            f"permission denied on the Docker socket {path}",
            hint="run the worker with the socket's group."
            f" `stat -c %g {path}` prints the group's id."
            " Add it with group_add in compose, with supplementalGroups in Kubernetes, or with"
            " `docker run --group-add`."
            " The worker's image runs as uid 10001, which is in no such group",
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
    """Yield an error, its causes, and the operating system's errors that aiohttp wraps."""
    link: BaseException | None = error
    while link is not None:
        yield link
        system = getattr(link, "os_error", None)
        if isinstance(system, OSError):
            yield system
        link = link.__cause__ or link.__context__


def to_error(action: str, status: int, message: str) -> ComputeUnavailable | ComputeRefused:
    """Return the error for a request that the daemon answered with a failure.

    Args:
        action: The action that failed, as a verb phrase.
        status: The HTTP status.
        message: The daemon's message, which is not passed on.
    """
    text = message.lower()
    cause = next((cause for part, cause in _CAUSES.items() if part in text), "")
    if cause:
        return ComputeRefused(f"the Docker daemon cannot {action}: {cause}")
    if any(part in text for part in _NO_SPACE):
        return ComputeUnavailable(
            f"the Docker daemon cannot {action}: no space is left",
            hint="free space on the daemon's machine; `docker system df` shows what uses it",
        )
    return _error_for_status(action, status, is_ambiguous="is ambiguous" in text)


def _error_for_status(
    action: str, status: int, *, is_ambiguous: bool
) -> ComputeUnavailable | ComputeRefused:
    # Two networks of one name make a request ambiguous until one of them is removed.
    if status == _CONFLICT or is_ambiguous:
        return Conflict(f"the Docker daemon cannot {action}: another change is under way")
    if status == _NOT_FOUND:
        return NotFound(f"the Docker daemon cannot {action}: an object is missing")
    if status < 500:  # noqa: PLR2004  # the daemon is well, the request is not
        return ComputeRefused(f"the Docker daemon refuses to {action} (HTTP {status})")
    return ComputeUnavailable(f"the Docker daemon fails to {action} (HTTP {status})")
