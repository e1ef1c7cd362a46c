"""What the failures of a Docker engine mean.

An engine's own message may quote a configuration, so that none is passed on; what some of them mean
is told in our words.
"""

from landlord_engines_core.errors import ComputeRefused, ComputeUnavailable

__all__ = [
    "NO_CONNECTION",
    "Conflict",
    "NotFound",
    "StartFailed",
    "silent",
    "to_error",
]

NO_CONNECTION = 900
"""aiodocker's own status where the engine cannot be reached."""

_NOT_FOUND, _CONFLICT = 404, 409

_CAUSES = {
    "port is already allocated": "a host port in $.ports is taken",
    "address already in use": "a host port in $.ports is taken",
    "executable file not found": "the image does not have the command",
    "exec format error": "the image is for another kind of machine",
    "unable to find user": "the image does not have the user in $.user",
    "no command specified": "the image has no command, and $.command names none",
    "range of cpus": "$.resources.cpu is more than the engine has",
    "memory limit": "$.resources.memory is less than the engine allows",
    "invalid reference format": "$.image is not the reference of an image",
    "network of a non running container": "the container that $.network_mode names does not run",
}
"""Parts of an engine's messages, in small letters, and what each is told as."""

_NO_SPACE = ("no space left", "disk quota exceeded")


class NotFound(ComputeUnavailable):
    """What was asked for is not there, or not any more; looking again tells what is."""


class Conflict(ComputeUnavailable):
    """Somebody else does the same at this moment, or did; looking again tells what is there."""


class StartFailed(ComputeUnavailable):
    """The engine failed to start a container, which may be beyond repair."""


def silent() -> ComputeUnavailable:
    """What it means that nobody answers, or not as an engine does."""
    return ComputeUnavailable(
        "the Docker engine does not answer", hint="check compute.docker.host and DOCKER_HOST"
    )


def to_error(what: str, status: int, message: str) -> ComputeUnavailable | ComputeRefused:
    """What an engine's failure to do something means."""
    text = message.lower()
    cause = next((told for part, told in _CAUSES.items() if part in text), "")
    if cause:
        return ComputeRefused(f"the Docker engine cannot {what}: {cause}")
    if any(part in text for part in _NO_SPACE):
        return ComputeUnavailable(
            f"the Docker engine cannot {what}: it has no space left",
            hint="free space on the engine's host: docker system df tells what takes it",
        )
    return _by_status(what, status, is_ambiguous="is ambiguous" in text)


def _by_status(
    what: str, status: int, *, is_ambiguous: bool
) -> ComputeUnavailable | ComputeRefused:
    if status == _CONFLICT or is_ambiguous:
        return Conflict(f"the Docker engine cannot {what}: something else is under way")
    if status == _NOT_FOUND:
        return NotFound(f"the Docker engine cannot {what}: it, or what it needs, is not there")
    if status < 500:  # noqa: PLR2004  # the engine is well, the request is not
        return ComputeRefused(f"the Docker engine refuses to {what} (HTTP {status})")
    return ComputeUnavailable(f"the Docker engine fails to {what} (HTTP {status})")
