"""What it means that a Docker engine cannot pull an image.

An engine answers a pull with HTTP 200 and a stream, and reports most failures inside that stream. Such
a failure has no status: its text alone tells the cause. The texts are those of Docker 20.10 to 28,
containerd and the common registries. A text may quote an address, so that none is passed on.
"""

import re
from collections.abc import Iterator

import attrs

from landlord_engines_core.compute.docker.answers import NO_CONNECTION, silent
from landlord_engines_core.errors import ComputeRefused, ComputeUnavailable

__all__ = ["pull_error"]

_RATE_LIMIT_PAUSE = 60.0
"""Seconds until the next pull where a registry limits the rate and names no pause."""

_SHORTEST_PAUSE = 1.0
"""Seconds; registries name microseconds, for a client that asks again at once."""

_TOO_MANY_REQUESTS = 429

_PAUSE = re.compile(r"retry[- ]after\W{0,3}((?:\d+(?:\.\d+)?(?:h|ms|m|µs|us|ns|s))+|\d+)")
_PART = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|µs|us|ns|s)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
"""Go's units of a duration: ghcr.io answers ``toomanyrequests: retry-after: 1.06ms, ...``."""

_RATE_LIMITED = ("toomanyrequests", "too many requests", "rate limit", "http status: 429")


@attrs.frozen
class _Cause:
    """Parts of an engine's text in small letters, and what they mean.

    Attributes:
        permanent: Whether only another image or another configuration helps.
    """

    parts: tuple[str, ...]
    message: str
    hint: str = ""
    permanent: bool = False


_CAUSES = (
    _Cause(
        ("no space left", "disk quota exceeded", "not enough space"),
        "the Docker engine has no space left for the image in $.image",
        "free space on the engine's host: docker system df tells what takes it",
    ),
    _Cause(
        (
            "no matching manifest for",
            "no match for platform",
            "does not match the specified platform",
            "cannot be used on this platform",
            "image operating system",
        ),
        "the image in $.image is not made for the platform of this Docker engine",
        "build it for the engine's platform, which docker version names, or choose another image",
        permanent=True,
    ),
    _Cause(
        (
            "manifest verification failed",
            "invalid digest",
            "unsupported digest",
            "invalid checksum digest",
        ),
        "the image in $.image is not the one that its digest names",
        "check the digest in $.image, and what stands between the engine and the registry",
        permanent=True,
    ),
    _Cause(
        (
            "layer verification failed",
            "unexpected commit digest",
            "failed size validation",
            "failed digest validation",
        ),
        "a layer of the image in $.image arrived damaged: it does not match its digest",
        "check what stands between the Docker engine and the registry",
    ),
    _Cause(
        (
            "failed to register layer",
            "failed to extract layer",
            "failed to unpack",
            "read-only file system",
            "input/output error",
        ),
        "the Docker engine cannot store the image in $.image",
        "the engine's own log tells why; check its disk and its storage driver",
    ),
    _Cause(
        ("x509", "tls: ", "certificate"),
        "the Docker engine does not trust the certificate of the registry of $.image",
        "give the engine the registry's certificate, in /etc/docker/certs.d",
    ),
    _Cause(
        ("server gave http response to https client",),
        "the registry of the image in $.image speaks no TLS, and the Docker engine asks for it",
        "name the registry in insecure-registries of the engine, or give it a certificate",
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
        permanent=True,
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
        "the Docker engine has to reach it, by its own proxy where it has one",
    ),
    _Cause(
        ("media type", "mediatype", "schema 1", "schema version", "unsupported manifest"),
        "the image in $.image has a format that this Docker engine does not know",
        "push it again with a newer client, or use a newer engine",
        permanent=True,
    ),
    _Cause(
        ("invalid reference format", "invalid tag format", "invalid repository name"),
        "$.image is not the reference of an image",
        "name it as repository:tag or repository@sha256:digest",
        permanent=True,
    ),
    _Cause(
        ("not found", "manifest unknown", "name unknown", "does not exist"),
        "the image in $.image does not exist",
        "check name and tag",
        permanent=True,
    ),
)
"""The first that fits counts: a full disk breaks layers, and what denies may say "not found" too."""

_MISSING = _CAUSES[-1]


def pull_error(status: int, message: str, image: str) -> ComputeUnavailable | ComputeRefused:
    """Tell what an engine's failure to pull an image means.

    Args:
        status: The status of the answer; 0 where the failure came inside the stream.
        message: What the engine says.
        image: What was to be pulled; its name inside of the message says nothing.
    """
    if status == NO_CONNECTION:
        return silent()
    text = _without(image.lower(), message.lower())
    if status == _TOO_MANY_REQUESTS or any(part in text for part in _RATE_LIMITED):
        return ComputeUnavailable(
            "the registry of the image in $.image limits the rate of pulls",
            hint="name credentials in compute.docker.registries, or use a mirror of the registry",
            retry_after=_pause(text),
        )
    for cause in _causes(status, text):
        if cause.permanent:
            return ComputeRefused(cause.message, hint=cause.hint)
        return ComputeUnavailable(cause.message, hint=cause.hint)
    told = f" (HTTP {status})" if status else ""
    return ComputeUnavailable(
        f"the image in $.image cannot be pulled, for a reason that the worker does not know{told}",
        hint="pull it on the engine's host by hand: docker pull tells the reason",
    )


def _causes(status: int, text: str) -> Iterator[_Cause]:
    yield from (cause for cause in _CAUSES if any(part in text for part in cause.parts))
    if status == 404:  # noqa: PLR2004  # not found
        yield _MISSING


def _without(image: str, text: str) -> str:
    """Take an image's name out of a text: an image may be called ``denied`` or ``timeout``."""
    repository = re.split(r"@|:(?=[^/]*$)", image, maxsplit=1)[0]
    for name in (image, repository, repository.rpartition("/")[2]):
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "", text)
    return text


def _pause(text: str) -> float:
    """Seconds that a registry asks to wait for; it answers the engine, which passes the text on."""
    found = _PAUSE.search(text)
    if found is None:
        return _RATE_LIMIT_PAUSE
    told = found[1] if not found[1].isdigit() else f"{found[1]}s"
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(told))
    return max(seconds, _SHORTEST_PAUSE)
