"""The acts on one tenant: start, update with a way back, end. Each may be cut anywhere and repeated.

An act holds the tenant's act lock. It ends what lives, writes down what is to run, and starts it with
the lock that shows that nothing lives: from its fork on the runner holds that, so that neither
another worker nor a later attempt can start a second one.

An update is a switch from the stop of the former command until the next one is healthy. Here to start
is to make. Nobody else makes anything meanwhile, since other workers wait for the act lock; a
cancelled switch therefore starts the former command again, as long as the folder names this act.
"""

import asyncio
import math
import os
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from uuid import uuid4

import attrs

from landlord_engines_core.compute.contract import ComputeResult, Observation, ResourceState
from landlord_engines_core.compute.in_flight import observing, switch
from landlord_engines_core.compute.points import Failpoint
from landlord_engines_core.compute.process import processes
from landlord_engines_core.compute.process.backoff import backoff_delays
from landlord_engines_core.compute.process.config import LONGEST_STOP_TIMEOUT
from landlord_engines_core.compute.process.ending import longest_stop, stop_all
from landlord_engines_core.compute.process.folder import (
    FailedConfig,
    Folder,
    FolderState,
    Run,
    State,
)
from landlord_engines_core.compute.process.health import STABLE, condition
from landlord_engines_core.compute.process.locks import take
from landlord_engines_core.compute.process.obstacles import refuse_mounts
from landlord_engines_core.compute.process.ports import PortClaims
from landlord_engines_core.compute.process.removal import remove
from landlord_engines_core.compute.process.threads import LONGEST_WORK, send_work
from landlord_engines_core.errors import ComputeRefused, ComputeUnavailable

__all__ = ["LONGEST_CARRY", "Tenant"]

_BUSY = 2.0
"""Seconds to wait for another act; a lock may outlive its holder while a process is being forked."""

_BEGIN = 60.0
"""Seconds for a runner to begin, on a machine that starts many."""

LONGEST_CARRY = 3 * LONGEST_WORK + longest_stop(LONGEST_STOP_TIMEOUT)
"""Seconds from a cancellation until all has ended: the work under way, a stop, a write, a start."""


@attrs.frozen(kw_only=True)
class Tenant:
    """One tenant's process.

    Attributes:
        folder: Where its state is.
        claims: Its ports.
        runner: The command line of the runner, without its arguments.
        reached: Told the name of each point.
        act: Begins the name of each run that this act starts, and of no other.
    """

    folder: Folder
    claims: PortClaims
    runner: tuple[str, ...]
    reached: Failpoint
    act: str = attrs.field(factory=lambda: uuid4().hex, init=False)

    async def look(self) -> Observation:
        """What is there, and how it is."""
        _, observed = await self._look()
        return observed

    async def apply(self, run: Run) -> ComputeResult:
        """Bring the tenant to this run's configuration, whatever is there."""
        observing()
        await send_work(self.folder.make)
        async with self._acting():
            seen, found = await self._look()
            if (state := seen.state) is None:
                await self._start("create", State(wanted=run), seen)
                return await self._stable()
            if (refused := state.refused) is not None:
                if refused.config_hash == run.config_hash:
                    return await self._switch(seen, state, partial(self._back, state, refused))
                state = await self._without_refusal(state)
            return await self._change(run, attrs.evolve(seen, state=state), state, found)

    async def _change(
        self, run: Run, seen: FolderState, state: State, found: Observation
    ) -> ComputeResult:
        if found.state is ResourceState.HEALTHY:
            state = await self._prove(state)
            seen = attrs.evolve(seen, state=state)
        same = state.wanted.config_hash == run.config_hash
        if not same or found.state is ResourceState.FAILED:
            self.reached("update:noted")
            wanted = await self._claimed("update", run, seen)
            following = State(wanted=wanted, last_healthy=state.last_healthy)
            return await self._switch(seen, following, partial(self._replace, following))
        if state.pending:
            return await self._switch(seen, state, self._stable)
        return await self._stable()

    async def restore(self) -> bool:
        """Bring a cut update to its end, and start what served once and is not there any more.

        Returns:
            Whether anything was done.
        """
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(self._acting())
            except FileNotFoundError:
                return False
            return await self._restore()

    async def _restore(self) -> bool:
        seen, _ = await self._look()
        if (state := seen.state) is None or state.last_healthy is None:
            return False
        if state.pending:
            # One that was refused already is judged once more.
            await self._switch(seen, state, self._stable)
            return True
        if not seen.trouble:
            return False
        await self._start("restore", state, seen)
        return True

    async def destroy(self) -> bool:
        """End the tenant's processes and remove its folder."""
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(self._acting(self._kill_holders))
            except FileNotFoundError:
                return False
            return await self._destroy()

    def _kill_holders(self) -> None:
        # A tenant can hold the worker's lock, or keep it from being made: that must not stop its delete.
        processes.kill_holders(self.folder.path, self.folder.act_lock)

    async def _destroy(self) -> bool:
        seen = await asyncio.to_thread(self.folder.seen)
        self.reached("destroy:begun")
        async with stop_all(self.folder):
            self.reached("destroy:ended")
            # Before anything is given back: what is mounted there keeps the tenant as it is.
            await send_work(refuse_mounts, self.folder.path)
            await send_work(self.claims.give_up)
            self.reached("destroy:released")
            await send_work(remove, self.folder.path)
            self.reached("destroy:removed")
        return seen.state is not None

    async def _look(self) -> tuple[FolderState, Observation]:
        observing()
        seen = await asyncio.to_thread(self.folder.seen)
        if (state := seen.state) is None:
            return seen, Observation(state=ResourceState.MISSING)
        how, detail = ResourceState.FAILED, seen.trouble
        if not detail:
            how, detail = await condition(state.wanted, seen.noted)
        # What has yet to prove itself is not in force: the next attempt has to see it through.
        known = state.last_healthy if state.pending and state.last_healthy else state.wanted
        return seen, Observation(
            state=how,
            config_hash="" if state.pending else known.config_hash,
            key_hashes=known.key_hashes,
            resource_ids=_ids(seen),
            detail=detail,
        )

    async def _stable(self) -> ComputeResult:
        """See an update through: wait for it to serve, and go back if it does not."""
        seen, found = await self._look()
        if (state := seen.state) is None or state.last_healthy is None or not state.pending:
            if seen.noted is not None and seen.noted.problem:
                raise ComputeRefused(
                    found.detail, hint="check the tenant's command and its working folder"
                )
            return ComputeResult(resource_ids=_ids(seen))
        seen, found = await self._watched()
        if found.state is ResourceState.HEALTHY:
            await self._prove(state)
            self.reached("update:stable")
            return ComputeResult(resource_ids=_ids(seen))
        refused = FailedConfig(config_hash=state.wanted.config_hash, reason=found.detail)
        if not seen.is_killed:
            state = attrs.evolve(state, refused=refused)
            await send_work(self._write, state)
        self.reached("rollback:noted")
        return await self._back(state, refused)

    async def _back(self, state: State, refused: FailedConfig) -> ComputeResult:
        """Have the former configuration serve, from wherever an earlier attempt left off."""
        former = state.last_healthy
        assert former is not None, "what is refused had one before it"
        seen, found = await self._look()
        if state.pending or found.state is ResourceState.FAILED:
            await self._start("rollback", attrs.evolve(state, wanted=former), seen)
        seen, found = await self._watched()
        # The way back is at its end: whoever wants the same later is to try it again.
        await self._without_refusal(seen.state or state)
        if found.state is not ResourceState.HEALTHY:
            raise ComputeUnavailable(
                f"neither the new configuration nor the former became healthy: {found.detail}"
            )
        return ComputeResult(resource_ids=_ids(seen), rolled_back=refused.reason)

    async def _without_refusal(self, state: State) -> State:
        state = attrs.evolve(state, refused=None)
        await send_work(self._write, state)
        return state

    async def _watched(self) -> tuple[FolderState, Observation]:
        """Look until it is decided; a command that starts has its own bound."""
        pause = backoff_delays(math.inf)
        while True:
            seen, found = await self._look()
            if found.state is not ResourceState.STARTING:
                return seen, found
            await asyncio.sleep(next(pause))

    async def _prove(self, state: State) -> State:
        last_healthy = State(wanted=state.wanted, last_healthy=state.wanted)
        if state.last_healthy != state.wanted:
            await send_work(self._write, last_healthy)
        return last_healthy

    async def _switch(
        self, before: FolderState, following: State, forward: Callable[[], Awaitable[ComputeResult]]
    ) -> ComputeResult:
        """Go forward such that a cancellation leaves the former command running, or the next one."""
        former = following.last_healthy
        if former is None and before.lives and before.state is not None:
            former = before.state.wanted
        health = following.wanted.config.health
        longest = LONGEST_CARRY + longest_stop(LONGEST_STOP_TIMEOUT) + _BEGIN
        return await switch(
            forward,
            lambda: self._put_back(before, following, former),
            longest=longest + (health.within if health is not None else STABLE),
        )

    async def _put_back(self, before: FolderState, following: State, former: Run | None) -> None:
        """Start the former command again, unless the next one took its place."""
        seen = await asyncio.to_thread(self.folder.seen)
        if (state := seen.state) is None or former is None or before.state is None:
            return
        own = state.wanted.run.startswith(self.act)
        if not own and state.wanted.run != before.state.wanted.run:
            # Somebody replaced the folder, and this act's lock with it.
            return
        if seen.lives and not state.pending and (own or state != before.state):
            return
        former = await self._claimed("return", former, seen)
        await self._launch(
            "return", attrs.evolve(state, wanted=former, last_healthy=following.last_healthy)
        )

    async def _replace(self, following: State) -> ComputeResult:
        await self._launch("update", following)
        await self._begun("update")
        return await self._stable()

    async def _start(self, act: str, state: State, seen: FolderState) -> None:
        wanted = await self._claimed(act, state.wanted, seen)
        await self._launch(act, attrs.evolve(state, wanted=wanted))
        await self._begun(act)

    async def _claimed(self, act: str, run: Run, seen: FolderState) -> Run:
        port = await send_work(self._port, run, seen)
        self.reached(f"{act}:claimed")
        return attrs.evolve(run, run=f"{self.act}-{uuid4().hex}", port=port)

    async def _launch(self, act: str, state: State) -> None:
        # Before anything is stopped: on a full disk the command that runs is to go on.
        await send_work(self.folder.prepare, state)
        async with stop_all(self.folder, is_new=act == "create") as lock:
            self.reached(f"{act}:ended")
            await send_work(self.folder.replace)
            await send_work(self._keep_ports, state)
            self.reached(f"{act}:written")
            await send_work(self._spawn, lock)
            self.reached(f"{act}:spawned")

    async def _begun(self, act: str) -> None:
        for pause in backoff_delays(_BEGIN):
            seen = await asyncio.to_thread(self.folder.seen)
            if seen.noted is not None and (seen.noted.child or seen.noted.ended):
                self.reached(f"{act}:begun")
                return
            if not seen.lives:
                break
            await asyncio.sleep(pause)
        raise ComputeUnavailable("what keeps the command did not begin")

    def _port(self, run: Run, seen: FolderState) -> int:
        before = seen.state.wanted if seen.state is not None else None
        own = before.port if before is not None and seen.lives else 0
        if run.config.port:
            return self.claims.fixed(run.config.port, own=own)
        # One that goes back had a port; one that is new takes the last that was chosen.
        former = before.port if before is not None and not before.config.port else 0
        return self.claims.chosen(run.port or former, own=own)

    def _write(self, state: State) -> None:
        self.folder.write(state)
        self._keep_ports(state)

    def _keep_ports(self, state: State) -> None:
        self.claims.keep(state.wanted.port, state.last_healthy.port if state.last_healthy else 0)

    def _spawn(self, lock: int) -> None:
        subprocess.run(  # noqa: S603  # our own program; the tenant's values are in the folder
            [*self.runner, str(self.folder.path), str(lock)],
            cwd=self.folder.path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(lock,),
            check=False,
        )

    @asynccontextmanager
    async def _acting(self, insist: Callable[[], None] | None = None) -> AsyncIterator[None]:
        lock = await self._act_lock()
        if lock is None and insist is not None:
            await send_work(insist)
            lock = await self._act_lock()
        if lock is None:
            raise ComputeUnavailable("another worker is acting on this tenant")
        try:
            yield
        finally:
            os.close(lock)

    async def _act_lock(self) -> int | None:
        for pause in backoff_delays(_BUSY):
            if (lock := await take(self.folder.act_lock)) is not None:
                return lock
            await asyncio.sleep(pause)
        return None


def _ids(seen: FolderState) -> dict[str, str]:
    if seen.state is None:
        return {}
    ids = {"port": str(seen.state.wanted.port)}
    if seen.noted is not None and seen.noted.child:
        ids["pid"] = str(seen.noted.child)
    return ids
