"""What the failures of a Docker engine mean.

An engine's own message may quote a configuration, so that none is passed on; what some of them mean
is told in our words.
"""

from landlord_engines_core.errors import ComputeRefused, ComputeUnavailable

__all__ = [
    "NO_CONNECTION",
    "Conflict",
    "Gone",
    "StartFailed",
    "meaning",
    "meaning_of_pull",
    "silent",
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
}
"""Parts of an engine's messages, in small letters, and what each is told as."""

_UNREACHABLE = (
    "connection refused",
    "connection reset",
    "no such host",
    "timeout",
    "deadline exceeded",
    "temporary failure",
    "no route to host",
    "network is unreachable",
    "server misbehaving",
    "too many requests",
    "toomanyrequests",
    "unexpected eof",
    "received unexpected http status: 5",
)
"""Parts of what an engine says of a pull that may succeed another time."""

_DENIED = ("unauthorized", "authentication required", "no basic auth", "denied")


class Gone(ComputeUnavailable):
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


def meaning(what: str, status: int, message: str) -> ComputeUnavailable | ComputeRefused:
    """What an engine's failure to do something means."""
    text = message.lower()
    if status == NO_CONNECTION:
        return silent()
    cause = next((told for part, told in _CAUSES.items() if part in text), "")
    if cause:
        return ComputeRefused(f"the Docker engine cannot {what}: {cause}")
    if status == _CONFLICT or "is ambiguous" in text:
        return Conflict(f"the Docker engine cannot {what}: something else is under way")
    if status == _NOT_FOUND:
        return Gone(f"the Docker engine cannot {what}: it, or what it needs, is not there")
    if status < 500:  # noqa: PLR2004  # the engine is well, the request is not
        return ComputeRefused(f"the Docker engine refuses to {what} (HTTP {status})")
    return ComputeUnavailable(f"the Docker engine fails to {what} (HTTP {status})")


def meaning_of_pull(status: int, message: str) -> ComputeUnavailable | ComputeRefused:
    """What an engine's failure to pull an image means."""
    text = message.lower()
    if status == NO_CONNECTION:
        return silent()
    if any(part in text for part in _UNREACHABLE):
        return ComputeUnavailable("the registry of the image in $.image does not answer")
    if any(part in text for part in _DENIED):
        return ComputeRefused(
            "the registry denies the image in $.image, or does not have it",
            hint="check the name, and compute.docker.registries",
        )
    if status == _NOT_FOUND or "not found" in text or "manifest unknown" in text:
        return ComputeRefused("the image in $.image does not exist", hint="check name and tag")
    return ComputeUnavailable(f"the image in $.image cannot be pulled (HTTP {status})")
