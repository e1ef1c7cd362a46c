"""Runs calls of a compute engine in processes, and reads the target without the engine."""

import asyncio
import random
import signal
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Protocol
from uuid import uuid4

import attrs

from landlord_engines_core.conformance.children import Child, call_in_child, start_child
from landlord_engines_core.conformance.compute.calls import Call, CallBatch, CallResults, run_calls
from landlord_engines_core.conformance.story import RuleBroken
from landlord_engines_core.conformance.subject import Subject

__all__ = ["ComputeBench", "Target"]

LONGEST_START = 30.0
"""Seconds until a process has to begin its calls."""


class Target(Protocol):
    """The author's configurations, and a view of the target that does not use the engine."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """The section ``compute.<name>``."""
        ...

    @property
    def kills(self) -> int:
        """How often each operation is killed at a random time; ten is a good number."""
        ...

    @property
    def drifts(self) -> tuple[str, ...]:
        """The changes that `disturb` can make."""
        ...

    def config(self, version: int) -> Mapping[str, object]:
        """Return a configuration; each version differs."""

    def secret_config(self, secret: str) -> Mapping[str, object]:
        """Return a configuration with a secret in every place where a tenant may have one."""

    async def list_resources(self, tenant: str) -> Collection[object]:
        """List all that the tenant has on the target, also what nobody finished."""

    async def disturb(self, tenant: str, drift: str) -> None:
        """Change the tenant's resource behind the engine's back."""


@attrs.define(kw_only=True)
class ComputeBench:
    """The processes of one test."""

    subject: Subject
    target: Target
    story: list[str] = attrs.field(factory=list)
    _count: int = attrs.field(default=0, init=False)
    _children: list[Child] = attrs.field(factory=list, init=False)
    _random: random.Random = attrs.field(init=False)

    @_random.default
    def _seeded_random(self) -> random.Random:
        return random.Random(1)  # noqa: S311  # the same times in each run

    def tenant(self, prefix: str = "") -> str:
        """Make an id of a tenant."""
        return f"{prefix}{uuid4()}"

    def call(self, method: str, tenant: str, version: int = 1) -> Call:
        """Describe a call."""
        return Call(method=method, tenant=tenant, config=self.target.config(version))

    def run(self, *calls: Call, at_once: bool = False) -> CallResults:
        """Make calls in a process of their own, and wait for it.

        Raises:
            RuleBroken: The process did not return, or raised an error.
        """
        folder = self._number_process("calls", calls)
        try:
            call_results: CallResults = call_in_child(
                partial(run_calls, self._build_batch(calls, at_once)), folder
            )
        except RuleBroken as broken:
            raise self.rule_broken(str(broken), *broken.story) from None
        self.story.append(f"  returned {[_shorten(result) for result in call_results.results]}")
        if refusals := [result for result in call_results.results if isinstance(result, str)]:
            raise self.rule_broken(f"the engine refuses the suite's configuration: {refusals[0]}")
        return call_results

    def start(self, *calls: Call) -> Child:
        """Begin calls in a process of their own, and return right before the first one."""
        folder = self._number_process("begins", calls)
        start_file = self.subject.folder / f"begun-{uuid4().hex}"
        run = partial(
            run_calls, attrs.evolve(self._build_batch(calls, at_once=False), start_file=start_file)
        )
        child = start_child(run, folder)
        self._children.append(child)
        until = monotonic() + LONGEST_START
        while not start_file.exists() and child.process.exitcode is None and monotonic() < until:
            sleep(_POLL_INTERVAL)
        return child

    def close(self) -> None:
        """Kill the processes that a failed test has left, a frozen one too."""
        for child in self._children:
            child.kill()

    def run_and_kill(self, *calls: Call, longest: float) -> None:
        """Begin calls, and kill their process after a random part of ``longest`` seconds."""
        child = self.start(*calls)
        pause = self._random.uniform(0.0, longest)
        sleep(pause)
        child.send_signal(signal.SIGKILL)
        ended = child.wait()
        self.story.append(f"  killed after {pause:.4f} s ({ended.end})")

    def measure(self, *calls: Call) -> float:
        """Measure how long calls take, from right before the first one."""
        child, began = self.start(*calls), monotonic()
        child.wait()
        return monotonic() - began

    def pause(self, longest: float) -> None:
        """Wait for a random part of this time."""
        sleep(self._random.uniform(0.0, longest))

    def list_resources(self, tenant: str) -> list[object]:
        """List what a tenant has on the target."""
        resources = list(asyncio.run(_as_coroutine(self.target.list_resources(tenant))))
        noun = "resource" if len(resources) == 1 else "resources"
        self.story.append(f"  the target has {len(resources)} {noun} of tenant {tenant[:12]!r}")
        return resources

    def expect(self, tenant: str, count: int, when: str) -> None:
        """Expect a number of resources.

        Raises:
            RuleBroken: There are more or fewer.
        """
        resources = self.list_resources(tenant)
        if len(resources) != count:
            raise self.rule_broken(f"{when}: {len(resources)} on the target, and not {count}")

    def disturb(self, tenant: str, drift: str) -> None:
        """Change a resource behind the engine's back."""
        self.story.append(f"the test makes the drift {drift!r}")
        asyncio.run(_as_coroutine(self.target.disturb(tenant, drift)))

    def rule_broken(self, reason: str, *more: str) -> RuleBroken:
        """Build the error for a broken rule, with the story."""
        return RuleBroken(reason, *self.story[-40:], *more)

    def _number_process(self, event: str, calls: tuple[Call, ...]) -> Path:
        """Number the next process, add it to the story, and return its folder."""
        self._count += 1
        texts = (f"{call.method} {call.tenant[:12]!r}" for call in calls[:10])
        self.story.append(f"process {self._count} {event}: {', '.join(texts)}")
        return self.subject.folder / f"process-{self._count}"

    def _build_batch(self, calls: tuple[Call, ...], at_once: bool) -> CallBatch:  # noqa: FBT001  # one caller
        return CallBatch(
            engine=self.subject.name,
            section=self.subject.settings,
            calls=calls,
            at_once=at_once,
        )


_POLL_INTERVAL = 0.002
"""Seconds between two checks of whether a process has created its start file."""


async def _as_coroutine(call: Any) -> Any:
    return await call


def _shorten(result: object) -> str:
    return str(result)[:120]
