"""Translation of failed image pulls to this project's errors.

A daemon answers a pull with HTTP 200 and a stream, and reports most failures inside that stream. Such
a failure has no status, so only its text shows the cause. The texts are those of Docker 20.10 to 28,
containerd and the common registries. A text may quote an address, so no text is passed on.
"""

import re
from collections.abc import Iterator

import attrs

from landlord_engines_core.compute.docker.errors import NO_CONNECTION, no_answer_error
from landlord_engines_core.errors import ComputeRefused, ComputeUnavailable

__all__ = ["pull_error"]

_RATE_LIMIT_PAUSE = 60.0
"""Seconds until the next pull if a registry limits the rate and names no pause."""

_SHORTEST_PAUSE = 1.0
"""Seconds until the next pull, at least; registries name pauses of microseconds."""

_TOO_MANY_REQUESTS = 429

_PAUSE = re.compile(r"retry[- ]after\W{0,3}((?:\d+(?:\.\d+)?(?:h|ms|m|µs|us|ns|s))+|\d+)")
_PART = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|µs|us|ns|s)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
"""Go's units of a duration; ghcr.io answers ``toomanyrequests: retry-after: 1.06ms, ...``."""

_RATE_LIMITED = ("toomanyrequests", "too many requests", "rate limit", "http status: 429")


@attrs.frozen
class _Cause:
    """A cause of failed pulls.

    Attributes:
        parts: Lower-case parts of a daemon's text, any of which shows this cause.
        message: The error's message.
        hint: The error's hint.
        is_permanent: Whether only another image or another configuration helps.
    """

    parts: tuple[str, ...]
    message: str
    hint: str
    is_permanent: bool = False


_CAUSES = (
    _Cause(
        ("no space left", "disk quota exceeded", "not enough space"),
        "the Docker daemon has no space left for the image in $.image",
        "free space on the daemon's machine; `docker system df` shows what uses it",
    ),
    _Cause(
        (
            "no matching manifest for",
            "no match for platform",
            "does not match the specified platform",
            "cannot be used on this platform",
            "image operating system",
        ),
        "the image in $.image is not made for the platform of this Docker daemon",
        "build it for the platform that `docker version` prints, or choose another image",
        is_permanent=True,
    ),
    _Cause(
        (
            "manifest verification failed",
            "invalid digest",
            "unsupported digest",
            "invalid checksum digest",
        ),
        "the image in $.image does not match its digest",
        "check the digest in $.image, and the proxies between the daemon and the registry",
        is_permanent=True,
    ),
    _Cause(
        (
            "layer verification failed",
            "unexpected commit digest",
            "failed size validation",
            "failed digest validation",
        ),
        "a layer of the image in $.image arrived damaged: it does not match its digest",
        "check the proxies between the Docker daemon and the registry",
    ),
    _Cause(
        (
            "failed to register layer",
            "failed to extract layer",
            "failed to unpack",
            "read-only file system",
            "input/output error",
        ),
        "the Docker daemon cannot store the image in $.image",
        "read the daemon's log; check its disk and its storage driver",
    ),
    _Cause(
        ("x509", "tls: ", "certificate"),
        "the Docker daemon does not trust the certificate of the registry of $.image",
        "add the registry's certificate to /etc/docker/certs.d on the daemon's machine",
    ),
    _Cause(
        ("server gave http response to https client",),
        "the registry of the image in $.image has no TLS, and the Docker daemon requires it",
        "add the registry to the daemon's insecure-registries, or give it a certificate",
    ),
    _Cause(
        (
            "unauthorized",
            "authentication required",
            "no basic auth",
            "denied",
            "forbidden",
            "docker login",
            "http status: 401",
            "http status: 403",
        ),
        "the registry denies the image in $.image, or does not have it",
        "check the name, and compute.docker.registries",
        is_permanent=True,
    ),
    _Cause(
        (
            "connection refused",
            "connection reset",
            "no such host",
            "timeout",
            "deadline exceeded",
            "temporary failure",
            "no route to host",
            "network is unreachable",
            "server misbehaving",
            "unexpected eof",
            "http status: 5",
            "context canceled",
            "proxyconnect",
        ),
        "the registry of the image in $.image does not answer",
        "make it reachable from the Docker daemon, through the daemon's proxy if it has one",
    ),
    _Cause(
        ("media type", "mediatype", "schema 1", "schema version", "unsupported manifest"),
        "the image in $.image has a format that this Docker daemon does not know",
        "push it again with a newer client, or use a newer daemon",
        is_permanent=True,
    ),
    _Cause(
        ("invalid reference format", "invalid tag format", "invalid repository name"),
        "$.image is not an image reference",
        "name it as repository:tag or repository@sha256:digest",
        is_permanent=True,
    ),
    _Cause(
        ("not found", "manifest unknown", "name unknown", "does not exist"),
        "the image in $.image does not exist",
        "check name and tag",
        is_permanent=True,
    ),
)
"""Causes in order of precedence: a full disk breaks layers, and a denial may say "not found" too."""

_NOT_FOUND = _CAUSES[-1]


def pull_error(status: int, message: str, image: str) -> ComputeUnavailable | ComputeRefused:
    """Return the error for a failed pull.

    Args:
        status: The status of the answer; 0 for a failure inside the stream.
        message: The daemon's text.
        image: The image's reference, which is taken out of the text.
    """
    if status == NO_CONNECTION:
        return no_answer_error()
    text = _without_reference(image.lower(), message.lower())
    if status == _TOO_MANY_REQUESTS or any(part in text for part in _RATE_LIMITED):
        return ComputeUnavailable(
            "the registry of the image in $.image limits the rate of pulls",
            hint="add credentials to compute.docker.registries, or use a mirror of the registry",
            retry_after=_parse_pause(text),
        )
    for cause in _find_causes(status, text):
        if cause.is_permanent:
            return ComputeRefused(cause.message, hint=cause.hint)
        return ComputeUnavailable(cause.message, hint=cause.hint)
    suffix = f" (HTTP {status})" if status else ""
    return ComputeUnavailable(
        f"the image in $.image cannot be pulled, for a reason that the worker does not know{suffix}",
        hint="run `docker pull` on the daemon's machine, which prints the reason",
    )


def _find_causes(status: int, text: str) -> Iterator[_Cause]:
    yield from (cause for cause in _CAUSES if any(part in text for part in cause.parts))
    if status == 404:  # noqa: PLR2004  # not found
        yield _NOT_FOUND


def _without_reference(image: str, text: str) -> str:
    # An image may be called `denied` or `timeout`.
    repository = re.split(r"@|:(?=[^/]*$)", image, maxsplit=1)[0]
    for name in (image, repository, repository.rpartition("/")[2]):
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "", text)
    return text


def _parse_pause(text: str) -> float:
    """Return the seconds that a registry asks to wait for, in the text that the daemon passes on."""
    match = _PAUSE.search(text)
    if match is None:
        return _RATE_LIMIT_PAUSE
    pause = f"{match[1]}s" if match[1].isdigit() else match[1]
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(pause))
    return max(seconds, _SHORTEST_PAUSE)
