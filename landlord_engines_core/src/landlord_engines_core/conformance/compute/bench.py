"""The bench of a test of a compute engine: its processes, and the author's view of the target."""

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
from landlord_engines_core.conformance.compute.acts import Act, Acts, Done, perform
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
    def cuts(self) -> int:
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

    async def look(self, tenant: str) -> Collection[object]:
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
    _chance: random.Random = attrs.field(init=False)

    @_chance.default
    def _same_each_time(self) -> random.Random:
        return random.Random(1)  # noqa: S311  # the same times in each run

    def tenant(self, like: str = "") -> str:
        """Make an id of a tenant."""
        return f"{like}{uuid4()}"

    def act(self, method: str, tenant: str, version: int = 1) -> Act:
        """Describe a call."""
        return Act(method=method, tenant=tenant, config=self.target.config(version))

    def run(self, *acts: Act, at_once: bool = False) -> Done:
        """Make calls in a process of their own, and wait for it.

        Raises:
            RuleBroken: The process did not return, or raised an error.
        """
        self._tell("calls", acts)
        try:
            done: Done = call_in_child(partial(perform, self._acts(acts, at_once)), self._folder())
        except RuleBroken as broken:
            raise self.broken(str(broken), *broken.story) from None
        self.story.append(f"  returned {[_short(result) for result in done.results]}")
        if refusals := [result for result in done.results if isinstance(result, str)]:
            raise self.broken(f"the engine refuses the suite's configuration: {refusals[0]}")
        return done

    def start(self, *acts: Act) -> Child:
        """Begin calls in a process of their own, and return right before the first one."""
        self._tell("begins", acts)
        begun = self.subject.folder / f"begun-{uuid4().hex}"
        call = partial(perform, attrs.evolve(self._acts(acts, at_once=False), begun=begun))
        child = start_child(call, self._folder())
        self._children.append(child)
        until = monotonic() + LONGEST_START
        while not begun.exists() and child.process.exitcode is None and monotonic() < until:
            sleep(_LOOK)
        return child

    def close(self) -> None:
        """Kill the processes that a failed test has left, a frozen one too."""
        for child in self._children:
            child.kill()

    def cut(self, *acts: Act, longest: float) -> None:
        """Begin calls, and kill their process after a random part of ``longest`` seconds."""
        child = self.start(*acts)
        pause = self._chance.uniform(0.0, longest)
        sleep(pause)
        child.send_signal(signal.SIGKILL)
        ended = child.wait()
        self.story.append(f"  killed after {pause:.4f} s ({ended.end})")

    def measure(self, *acts: Act) -> float:
        """Measure how long calls take, from right before the first one."""
        child, began = self.start(*acts), monotonic()
        child.wait()
        return monotonic() - began

    def pause(self, longest: float) -> None:
        """Wait for a random part of this time."""
        sleep(self._chance.uniform(0.0, longest))

    def look(self, tenant: str) -> list[object]:
        """List what a tenant has on the target."""
        seen = list(asyncio.run(_await(self.target.look(tenant))))
        self.story.append(f"  the target has {len(seen)} of {tenant[:12]!r}")
        return seen

    def expect(self, tenant: str, count: int, what: str) -> None:
        """Expect a number of resources.

        Raises:
            RuleBroken: There are more or fewer.
        """
        seen = self.look(tenant)
        if len(seen) != count:
            raise self.broken(f"{what}: {len(seen)} on the target, and not {count}")

    def disturb(self, tenant: str, drift: str) -> None:
        """Change a resource behind the engine's back."""
        self.story.append(f"the test makes the drift {drift!r}")
        asyncio.run(_await(self.target.disturb(tenant, drift)))

    def broken(self, what: str, *more: str) -> RuleBroken:
        """Tell what broke the rule, with the story."""
        return RuleBroken(what, *self.story[-40:], *more)

    def _tell(self, what: str, acts: tuple[Act, ...]) -> None:
        calls = ", ".join(f"{act.method} {act.tenant[:12]!r}" for act in acts[:10])
        self.story.append(f"process {self._count} {what}: {calls}")

    def _acts(self, acts: tuple[Act, ...], at_once: bool) -> Acts:  # noqa: FBT001  # one caller
        return Acts(
            engine=self.subject.name,
            section=self.subject.settings,
            acts=acts,
            at_once=at_once,
        )

    def _folder(self) -> Path:
        self._count += 1
        return self.subject.folder / f"process-{self._count}"


_LOOK = 0.002
"""Seconds between two looks at the file that a process creates: a file announces nothing."""


async def _await(call: Any) -> Any:
    return await call


def _short(result: object) -> str:
    return str(result)[:120]
