"""The acts on one tenant: start, update with a way back, end. Each may be cut anywhere and repeated.

An act holds the tenant's act lock. It ends what lives, writes down what is to run, and starts it with
the lock that shows that nothing lives: from its fork on the runner holds that, so that neither
another worker nor a later attempt can start a second one.
"""

import asyncio
import math
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from uuid import uuid4

import attrs

from landlord_engines_core.compute.contract import ComputeResult, Observation, ResourceState
from landlord_engines_core.compute.points import Reached
from landlord_engines_core.compute.process.ending import nobody_lives
from landlord_engines_core.compute.process.folder import Folder, Refusal, Run, Seen, State
from landlord_engines_core.compute.process.health import condition
from landlord_engines_core.compute.process.locks import take
from landlord_engines_core.compute.process.pauses import pauses
from landlord_engines_core.compute.process.ports import Claims
from landlord_engines_core.compute.process.threads import to_the_end
from landlord_engines_core.errors import ComputeRefused, ComputeUnavailable

__all__ = ["Tenant"]

_BUSY = 2.0
"""Seconds to wait for another act; a lock may outlive its holder while a process is being forked."""

_BEGIN = 60.0
"""Seconds for a runner to begin, on a machine that starts many."""


@attrs.frozen(kw_only=True)
class Tenant:
    """One tenant's process.

    Attributes:
        folder: Where its state is.
        claims: Its ports.
        runner: The command line of the runner, without its arguments.
        reached: Told the name of each point.
    """

    folder: Folder
    claims: Claims
    runner: tuple[str, ...]
    reached: Reached

    async def look(self) -> Observation:
        """What is there, and how it is."""
        _, observed = await self._look()
        return observed

    async def apply(self, run: Run) -> ComputeResult:
        """Bring the tenant to this run's configuration, whatever is there."""
        await asyncio.to_thread(self.folder.make)
        async with self._acting():
            seen, found = await self._look()
            if (state := seen.state) is None:
                await self._start("create", State(wanted=run), seen)
                return await self._settled()
            if state.refused is not None and state.refused.config_hash == run.config_hash:
                return await self._back(state, state.refused)
            if state.refused is not None:
                state = await self._without_refusal(state)
            proven = state.proven
            if found.state is ResourceState.HEALTHY:
                proven = state.wanted
                await self._prove(state)
            same = state.wanted.config_hash == run.config_hash
            if not same or found.state is ResourceState.FAILED:
                self.reached("update:noted")
                await self._start("update", State(wanted=run, proven=proven), seen)
            return await self._settled()

    async def destroy(self) -> bool:
        """End the tenant's processes and remove its folder."""
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(self._acting())
            except FileNotFoundError:
                return False
            return await self._destroy()

    async def _destroy(self) -> bool:
        seen = await asyncio.to_thread(self.folder.seen)
        self.reached("destroy:begun")
        async with nobody_lives(self.folder):
            self.reached("destroy:ended")
            await to_the_end(self.claims.keep)
            self.reached("destroy:released")
            await to_the_end(shutil.rmtree, self.folder.path)
            self.reached("destroy:removed")
        return seen.state is not None

    async def _look(self) -> tuple[Seen, Observation]:
        seen = await asyncio.to_thread(self.folder.seen)
        if (state := seen.state) is None:
            return seen, Observation(state=ResourceState.MISSING)
        how, detail = ResourceState.FAILED, seen.trouble
        if not detail:
            how, detail = await condition(state.wanted, seen.noted)
        # What has yet to prove itself is not in force: the next attempt has to see it through.
        known = state.proven if state.pending and state.proven else state.wanted
        return seen, Observation(
            state=how,
            config_hash="" if state.pending else known.config_hash,
            key_hashes=known.key_hashes,
            resource_ids=_ids(seen),
            detail=detail,
        )

    async def _settled(self) -> ComputeResult:
        """See an update through: wait for it to serve, and go back if it does not."""
        seen, found = await self._look()
        if (state := seen.state) is None or state.proven is None or not state.pending:
            if seen.noted is not None and seen.noted.problem:
                raise ComputeRefused(
                    found.detail, hint="check the tenant's command and its working folder"
                )
            return ComputeResult(resource_ids=_ids(seen))
        seen, found = await self._watched()
        if found.state is ResourceState.HEALTHY:
            await self._prove(state)
            self.reached("update:settled")
            return ComputeResult(resource_ids=_ids(seen))
        refused = Refusal(config_hash=state.wanted.config_hash, reason=found.detail)
        if not seen.is_killed:
            state = attrs.evolve(state, refused=refused)
            await to_the_end(self._write, state)
        self.reached("rollback:noted")
        return await self._back(state, refused)

    async def _back(self, state: State, refused: Refusal) -> ComputeResult:
        """Have the former configuration serve, from wherever an earlier attempt left off."""
        former = state.proven
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
        await to_the_end(self._write, state)
        return state

    async def _watched(self) -> tuple[Seen, Observation]:
        """Look until it is decided; a command that starts has its own bound."""
        pause = pauses(math.inf)
        while True:
            seen, found = await self._look()
            if found.state is not ResourceState.STARTING:
                return seen, found
            await asyncio.sleep(next(pause))

    async def _prove(self, state: State) -> None:
        if state.proven != state.wanted:
            proven = State(wanted=state.wanted, proven=state.wanted)
            await to_the_end(self._write, proven)

    async def _start(self, act: str, state: State, seen: Seen) -> None:
        port = await to_the_end(self._port, state.wanted, seen)
        wanted = attrs.evolve(state.wanted, run=uuid4().hex, port=port)
        self.reached(f"{act}:claimed")
        async with nobody_lives(self.folder) as lock:
            self.reached(f"{act}:ended")
            await to_the_end(self._write, attrs.evolve(state, wanted=wanted))
            self.reached(f"{act}:written")
            await to_the_end(self._spawn, lock)
            self.reached(f"{act}:spawned")
        await self._begun()
        self.reached(f"{act}:begun")

    async def _begun(self) -> None:
        for pause in pauses(_BEGIN):
            seen = await asyncio.to_thread(self.folder.seen)
            if seen.noted is not None and (seen.noted.child or seen.noted.ended):
                return
            if not seen.lives:
                break
            await asyncio.sleep(pause)
        raise ComputeUnavailable("what keeps the command did not begin")

    def _port(self, run: Run, seen: Seen) -> int:
        before = seen.state.wanted if seen.state is not None else None
        own = before.port if before is not None and seen.lives else 0
        if run.config.port:
            return self.claims.fixed(run.config.port, own=own)
        # One that goes back had a port; one that is new takes the last that was chosen.
        former = before.port if before is not None and not before.config.port else 0
        return self.claims.chosen(run.port or former, own=own)

    def _write(self, state: State) -> None:
        self.folder.write(state)
        self.claims.keep(state.wanted.port, state.proven.port if state.proven else 0)

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
    async def _acting(self) -> AsyncIterator[None]:
        lock = await self._act_lock()
        try:
            yield
        finally:
            os.close(lock)

    async def _act_lock(self) -> int:
        for pause in pauses(_BUSY):
            if (lock := await take(self.folder.act_lock)) is not None:
                return lock
            await asyncio.sleep(pause)
        raise ComputeUnavailable("another worker is acting on this tenant")


def _ids(seen: Seen) -> dict[str, str]:
    if seen.state is None:
        return {}
    ids = {"port": str(seen.state.wanted.port)}
    if seen.noted is not None and seen.noted.child:
        ids["pid"] = str(seen.noted.child)
    return ids
