"""How a container is: what its engine says, and where its configuration has a check, what that says.

Running is not healthy: a container whose program ends again and again runs most of the time.
"""

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import attrs
import backoff

from landlord_engines_core.compute.contract import ResourceState
from landlord_engines_core.compute.docker import names
from landlord_engines_core.compute.docker.settings import DockerSettings

__all__ = ["Health", "health_of", "is_up"]

_LONGEST_WINDOW = 60.0
_RESTARTS = 3
"""After this many restarts in a row a container is in a loop."""

_ANSWER_WITHIN = 2.0
_ASKED = 3
"""How often one that has to answer is asked before it has failed: anybody may be busy once."""

_RELAY_CLOSES_WITHIN = 0.3


@attrs.frozen
class Health:
    """A state, and in one sentence why."""

    state: ResourceState
    detail: str = ""


async def health_of(shown: Mapping[str, Any], settings: DockerSettings) -> Health:
    """Tell how a container is.

    Args:
        shown: What the engine shows of it.
        settings: How long things may take, and where the engine is.
    """
    state = shown["State"]
    if (looping := _loop(shown, settings)) is not None:
        return looping
    if state["Status"] != "running":
        return Health(ResourceState.FAILED, _stopped(state))
    check = json.loads((shown["Config"].get("Labels") or {}).get(names.HEALTH) or "{}")
    if check:
        late = _uptime(state) > settings.health_timeout
        ask = _ask_again(_answers) if late else _answers
        answers = await ask(shown, check, settings.host)
        return _checked(answers=answers, late=late)
    if "Health" in state and state["Health"]["Status"] != "none":
        return _own_check(state["Health"]["Status"])
    if _uptime(state) < _window(shown, settings):
        return Health(ResourceState.STARTING, "it has not run for long")
    return Health(ResourceState.HEALTHY)


def is_up(shown: Mapping[str, Any], settings: DockerSettings) -> bool:
    """Whether a container runs, and not again and again, be it healthy or not."""
    looping = _loop(shown, settings)
    if looping is not None:
        return looping.state is not ResourceState.FAILED
    return bool(shown["State"]["Status"] == "running")


def _loop(shown: Mapping[str, Any], settings: DockerSettings) -> Health | None:
    restarts, status = shown["RestartCount"], shown["State"]["Status"]
    runs = status == "running" and _uptime(shown["State"]) >= _window(shown, settings)
    if restarts >= _RESTARTS and not runs:
        return Health(ResourceState.FAILED, f"it restarts again and again ({restarts} times)")
    if status == "restarting":
        return Health(ResourceState.STARTING, "it is being restarted")
    return None


def _window(shown: Mapping[str, Any], settings: DockerSettings) -> float:
    """For how long a container has to run to be trusted: the longer, the more often it stopped."""
    window: float = settings.stable_window * (1 + shown["RestartCount"])
    return min(window, max(_LONGEST_WINDOW, settings.stable_window))


def _uptime(state: Mapping[str, Any]) -> float:
    started = datetime.fromisoformat(state["StartedAt"])
    # A start in the future is of a clock that was set back since, or of another than the engine's:
    # such a container must not start for ever.
    return abs((datetime.now(UTC) - started).total_seconds())


def _stopped(state: Mapping[str, Any]) -> str:
    if state["Status"] == "exited":
        cause = "for lack of memory" if state.get("OOMKilled") else f"with {state['ExitCode']}"
        return f"it has ended {cause}"
    return f"it is {state['Status']}, not running"


def _own_check(status: str) -> Health:
    states = {"healthy": ResourceState.HEALTHY, "starting": ResourceState.STARTING}
    return Health(states.get(status, ResourceState.FAILED), f"its own check says {status}")


def _checked(*, answers: bool, late: bool) -> Health:
    if answers:
        return Health(ResourceState.HEALTHY)
    if late:
        return Health(ResourceState.FAILED, "it does not answer its health check")
    return Health(ResourceState.STARTING, "it does not answer its health check yet")


@attrs.frozen
class _Address:
    """Where a container may be asked; a published port is relayed, which takes every connection."""

    host: str
    port: int
    relayed: bool = False


async def _answers(shown: Mapping[str, Any], check: Mapping[str, Any], host: str) -> bool:
    """Whether any of the addresses at which the container should answer does."""
    for address in _addresses(shown, check["port"], urlsplit(host).hostname or "127.0.0.1"):
        try:
            async with asyncio.timeout(_ANSWER_WITHIN):
                if await _answer(address, check):
                    return True
        except (OSError, TimeoutError, ValueError):
            continue
    return False


_ask_again = backoff.on_predicate(
    backoff.expo,
    lambda answers: not answers,
    factor=0.3,
    max_tries=_ASKED,
    jitter=None,
    logger=None,
)


def _addresses(shown: Mapping[str, Any], port: int, host: str) -> list[_Address]:
    """The container's own addresses, then where its port is on the engine's host."""
    if shown["HostConfig"]["NetworkMode"] == "host":
        return [_Address(host, port)]
    network = shown["NetworkSettings"]
    own = [one["IPAddress"] for one in network["Networks"].values() if one["IPAddress"]]
    published = (network.get("Ports") or {}).get(f"{port}/tcp") or ()
    return [
        *(_Address(address, port) for address in own),
        *(_Address(host, int(one["HostPort"]), relayed=True) for one in published),
    ]


async def _answer(address: _Address, check: Mapping[str, Any]) -> bool:
    reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        if check["type"] == "tcp":
            return not address.relayed or await _stays_open(reader)
        request = (
            f"GET {check['path']} HTTP/1.1\r\nHost: {address.host}\r\nConnection: close\r\n\r\n"
        )
        writer.write(request.encode())
        return _succeeded(await reader.readline())
    finally:
        writer.transport.abort()


async def _stays_open(reader: asyncio.StreamReader) -> bool:
    """Whether there is somebody behind a relay, which closes at once where there is nobody."""
    try:
        async with asyncio.timeout(_RELAY_CLOSES_WITHIN):
            return bool(await reader.read(1))
    except TimeoutError:
        return True


def _succeeded(status_line: bytes) -> bool:
    protocol, _, rest = status_line.partition(b" ")
    return protocol.startswith(b"HTTP/") and rest[:1] in (b"2", b"3")
