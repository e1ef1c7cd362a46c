"""Health of a container, by the daemon's view and by the check in its configuration.

Running is not healthy: a container whose program exits in a loop is running most of the time.
"""

import asyncio
import json
import math
import operator
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import attrs

from landlord_engines_core.compute.contract import ResourceState
from landlord_engines_core.compute.docker.labels import HEALTH
from landlord_engines_core.compute.docker.settings import DockerSettings
from landlord_engines_core.compute.health_check import is_http_success, open_connection
from landlord_engines_core.retries import poll

__all__ = ["Health", "check_health", "is_up", "start_time"]

_LONGEST_WINDOW = 60.0
"""Seconds to which restarts can extend the stable window, unless the setting is longer."""

_RESTARTS = 3
"""Restarts with which a container counts as looping, until it has run for its stable window."""

_ANSWER_TIMEOUT = 2.0
"""Seconds that a check waits for an answer."""

_TRIES = 3
"""Checks that a container must fail in a row before it has failed; a busy program may miss one."""

_RELAY_CLOSES_WITHIN = 0.3
"""Seconds after which an open connection shows that a program listens behind Docker's relay."""


@attrs.frozen
class Health:
    """A state, and its reason in one sentence."""

    state: ResourceState
    detail: str = ""


async def check_health(raw: Mapping[str, Any], settings: DockerSettings) -> Health:
    """Judge a container, running its configured check.

    Args:
        raw: The container as the daemon describes it.
        settings: The operator's settings.
    """
    state = raw["State"]
    if (looping := _judge_restarts(raw, settings)) is not None:
        return looping
    if state["Status"] != "running":
        return Health(ResourceState.FAILED, _describe_stop(state))
    check = json.loads((raw["Config"].get("Labels") or {}).get(HEALTH) or "{}")
    if check:
        is_late = _uptime(state) > settings.health_timeout
        run = _run_check_with_retries if is_late else _run_check
        has_passed = await run(raw, check, settings.host)
        return _judge_check(has_passed=has_passed, is_late=is_late)
    if "Health" in state and state["Health"]["Status"] != "none":
        return _judge_image_check(state["Health"]["Status"])
    if _uptime(state) < _stable_window(raw, settings):
        return Health(ResourceState.STARTING, "it has not run for long")
    return Health(ResourceState.HEALTHY)


def is_up(raw: Mapping[str, Any], settings: DockerSettings) -> bool:
    """Return whether a container runs and is in no restart loop, healthy or not."""
    looping = _judge_restarts(raw, settings)
    if looping is not None:
        return looping.state is not ResourceState.FAILED
    return bool(raw["State"]["Status"] == "running")


def start_time(state: Mapping[str, Any]) -> datetime | None:
    """Return the time of a container's last start, or ``None`` if the daemon shows no date.

    A date without a zone is read as UTC, the zone that Docker's API uses.
    """
    try:
        started = datetime.fromisoformat(str(state.get("StartedAt")))
    except ValueError:
        return None
    return started if started.tzinfo is not None else started.replace(tzinfo=UTC)


def _judge_restarts(raw: Mapping[str, Any], settings: DockerSettings) -> Health | None:
    restarts, status = raw["RestartCount"], raw["State"]["Status"]
    is_stable = status == "running" and _uptime(raw["State"]) >= _stable_window(raw, settings)
    if restarts >= _RESTARTS and not is_stable:
        return Health(ResourceState.FAILED, f"it restarts again and again ({restarts} times)")
    if status == "restarting":
        return Health(ResourceState.STARTING, "it is being restarted")
    return None


def _stable_window(raw: Mapping[str, Any], settings: DockerSettings) -> float:
    # The more often a container stopped, the longer it has to run to count as stable.
    window: float = settings.stable_window * (1 + raw["RestartCount"])
    return min(window, max(_LONGEST_WINDOW, settings.stable_window))


def _uptime(state: Mapping[str, Any]) -> float:
    started = start_time(state)
    if started is None:
        # Its check, or the daemon, decides: a container must not count as starting indefinitely.
        return math.inf
    # A start in the future means that a clock was set back, or that the daemon has another clock.
    # Such a container must not count as starting indefinitely either.
    return abs((datetime.now(UTC) - started).total_seconds())


def _describe_stop(state: Mapping[str, Any]) -> str:
    if state["Status"] == "exited":
        cause = "for lack of memory" if state.get("OOMKilled") else f"with {state['ExitCode']}"
        return f"it has ended {cause}"
    return f"it is {state['Status']}, not running"


def _judge_image_check(status: str) -> Health:
    states = {"healthy": ResourceState.HEALTHY, "starting": ResourceState.STARTING}
    return Health(states.get(status, ResourceState.FAILED), f"its own check says {status}")


def _judge_check(*, has_passed: bool, is_late: bool) -> Health:
    if has_passed:
        return Health(ResourceState.HEALTHY)
    if is_late:
        return Health(ResourceState.FAILED, "it does not answer its health check")
    return Health(ResourceState.STARTING, "it does not answer its health check yet")


@attrs.frozen
class _Address:
    """An address at which a container may answer.

    Attributes:
        is_relayed: Whether it is a published port. Docker's relay accepts every connection.
    """

    host: str
    port: int
    is_relayed: bool = False


async def _run_check(raw: Mapping[str, Any], check: Mapping[str, Any], host: str) -> bool:
    """Return whether the container passes its check at any of its addresses."""
    for address in _addresses(raw, check["port"], urlsplit(host).hostname or "127.0.0.1"):
        try:
            async with asyncio.timeout(_ANSWER_TIMEOUT):
                if await _run_check_at(address, check):
                    return True
        except (OSError, TimeoutError, ValueError):
            continue
    return False


async def _run_check_with_retries(
    raw: Mapping[str, Any], check: Mapping[str, Any], host: str
) -> bool:
    return await poll(
        lambda: _run_check(raw, check, host), operator.not_, first=0.3, longest=1.0, tries=_TRIES
    )


def _addresses(raw: Mapping[str, Any], port: int, host: str) -> list[_Address]:
    """Return the container's addresses, then those of its port on the daemon's machine."""
    if raw["HostConfig"]["NetworkMode"] == "host":
        return [_Address(host, port)]
    settings = raw["NetworkSettings"]
    own = [network["IPAddress"] for network in settings["Networks"].values()]
    bindings = (settings.get("Ports") or {}).get(f"{port}/tcp") or ()
    return [
        *(_Address(address, port) for address in own if address),
        *(_Address(host, int(binding["HostPort"]), is_relayed=True) for binding in bindings),
    ]


async def _run_check_at(address: _Address, check: Mapping[str, Any]) -> bool:
    if check["type"] != "tcp":
        return await is_http_success(address.host, address.port, check["path"])
    async with open_connection(address.host, address.port) as (reader, _):
        return not address.is_relayed or await _stays_open(reader)


async def _stays_open(reader: asyncio.StreamReader) -> bool:
    # Docker's relay accepts a connection first, and closes it immediately if nobody listens behind it.
    try:
        async with asyncio.timeout(_RELAY_CLOSES_WITHIN):
            return bool(await reader.read(1))
    except TimeoutError:
        return True
