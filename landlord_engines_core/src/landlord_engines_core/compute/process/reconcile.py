"""Acts on one tenant's process: apply, restore and destroy. Each can be interrupted and repeated.

An act holds the tenant's act lock. It stops the tenant's processes, writes the desired state, and starts
a runner, which starts the command. The runner inherits the command lock, which the act took once no
process was alive. After the fork, neither another worker nor a later attempt can start a second runner.

An update is a switch, from the stop of the previous command until the next one is healthy. A cancelled
switch starts the previous command again. This creates a process, which a switch must not do on other
targets. Here it is safe: other workers wait for the act lock, so nothing else is created meanwhile.
"""

import asyncio
import errno
import os
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from uuid import uuid4

import attrs

from landlord_engines_core.compute.contract import ComputeResult, Observation, ResourceState
from landlord_engines_core.compute.in_flight import Failpoint, begin_observation, switch
from landlord_engines_core.compute.process import processes
from landlord_engines_core.compute.process.config import LONGEST_STOP_TIMEOUT
from landlord_engines_core.compute.process.folder import (
    FailedConfig,
    Folder,
    FolderState,
    Run,
    State,
)
from landlord_engines_core.compute.process.health import STABLE_AFTER
from landlord_engines_core.compute.process.locks import try_lock
from landlord_engines_core.compute.process.observe import observe, resource_ids, wait_decided
from landlord_engines_core.compute.process.obstacles import refuse_mounts
from landlord_engines_core.compute.process.ports import PortClaims
from landlord_engines_core.compute.process.removal import remove_folder
from landlord_engines_core.compute.process.requests import (
    LONGEST_WORK,
    backoff_delays,
    send_work,
)
from landlord_engines_core.compute.process.termination import longest_stop, stop_all
from landlord_engines_core.errors import ComputeRefused, ComputeUnavailable

__all__ = ["LONGEST_CARRY", "TenantProcess"]

_LOCK_TIMEOUT = 2.0
"""Seconds to wait for the act lock. A process that an act forks keeps it for a moment longer."""

_START_TIMEOUT = 60.0
"""Seconds for a runner to start, on a machine that starts many."""

LONGEST_CARRY = 3 * LONGEST_WORK + longest_stop(LONGEST_STOP_TIMEOUT)
"""Seconds from a cancellation until the act ends: the current work, a stop, a write and a start."""


@attrs.frozen(kw_only=True)
class TenantProcess:
    """One tenant's process.

    Attributes:
        folder: The tenant's folder.
        claims: The tenant's ports.
        runner: The runner's command line, without its arguments.
        reached: Called with the name of each failpoint.
        act: Prefix of the names of all runs that this act starts, and of no others.
    """

    folder: Folder
    claims: PortClaims
    runner: tuple[str, ...]
    reached: Failpoint
    act: str = attrs.field(factory=lambda: uuid4().hex, init=False)

    async def apply(self, run: Run) -> ComputeResult:
        """Bring the tenant to this run's configuration."""
        begin_observation()
        await send_work(self.folder.create)
        async with self._hold_act_lock():
            files, observation = await observe(self.folder)
            if (state := files.state) is None:
                await self._start("create", State(wanted=run), files)
                return await self._complete_update()
            if (failed := state.refused) is not None:
                if failed.config_hash == run.config_hash:
                    # The rollback of this configuration was interrupted.
                    return await self._switch(files, state, partial(self._roll_back, state, failed))
                state = await self._clear_failed_config(state)
            return await self._update(run, attrs.evolve(files, state=state), state, observation)

    async def _update(
        self, run: Run, files: FolderState, state: State, observation: Observation
    ) -> ComputeResult:
        if observation.state is ResourceState.HEALTHY:
            state = await self._record_healthy(state)
            files = attrs.evolve(files, state=state)
        is_same = state.wanted.config_hash == run.config_hash
        if not is_same or observation.state is ResourceState.FAILED:
            self.reached("update:noted")
            next_run = await self._name_run("update", run, files)
            desired = State(wanted=next_run, last_healthy=state.last_healthy)
            return await self._switch(files, desired, partial(self._replace, desired))
        if state.pending:
            return await self._switch(files, state, self._complete_update)
        return await self._complete_update()

    async def restore(self) -> bool:
        """Complete an interrupted update, or start a healthy command that was killed.

        Returns:
            Whether anything was changed.
        """
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(self._hold_act_lock())
            except FileNotFoundError:
                return False
            return await self._restore()

    async def _restore(self) -> bool:
        files, _ = await observe(self.folder)
        if (state := files.state) is None or state.last_healthy is None:
            return False
        if state.pending:
            # A configuration whose rollback had begun gets another chance.
            await self._switch(files, state, self._complete_update)
            return True
        if not files.failure:
            return False
        await self._start("restore", state, files)
        return True

    async def destroy(self) -> bool:
        """Stop the tenant's processes and remove its folder."""
        existed = is_gone = False
        while not is_gone:
            has_state, is_gone = await self._destroy_once()
            existed = existed or has_state
        return existed

    async def _destroy_once(self) -> tuple[bool, bool]:
        """Return whether the tenant had a state, and whether its folder is gone now."""
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(self._hold_act_lock(self._kill_lock_holders))
            except FileNotFoundError:
                return False, True
            files = await asyncio.to_thread(self.folder.read)
            return files.state is not None, await self._remove()

    def _kill_lock_holders(self) -> None:
        # A tenant can hold the act lock, or prevent its creation. A delete must not fail on it.
        processes.kill_lock_holders(self.folder.path, self.folder.act_lock)

    async def _remove(self) -> bool:
        """Remove everything under the act lock; return whether the folder is gone."""
        self.reached("destroy:begun")
        async with stop_all(self.folder):
            self.reached("destroy:ended")
            # The check comes before the ports are released: with a mount the tenant stays as it is.
            await send_work(refuse_mounts, self.folder.path)
            await send_work(self.claims.release_all)
            self.reached("destroy:released")
            try:
                await send_work(remove_folder, self.folder.path)
            except OSError as error:
                if error.errno != errno.ENOTEMPTY:
                    raise
                # A worker that waits for the act lock created its file again after it was removed
                # (4 of 32 runs on a busy machine). That worker may hold it by now.
                return False
            self.reached("destroy:removed")
        return True

    async def _complete_update(self) -> ComputeResult:
        """Wait until a pending update is healthy, and roll it back if it fails."""
        files, observation = await observe(self.folder)
        if (state := files.state) is None or state.last_healthy is None or not state.pending:
            if files.run_status is not None and files.run_status.problem:
                raise ComputeRefused(
                    observation.detail, hint="check the tenant's command and its working folder"
                )
            return ComputeResult(resource_ids=resource_ids(files))
        files, observation = await wait_decided(self.folder)
        if observation.state is ResourceState.HEALTHY:
            await self._record_healthy(state)
            self.reached("update:stable")
            return ComputeResult(resource_ids=resource_ids(files))
        failed = FailedConfig(config_hash=state.wanted.config_hash, reason=observation.detail)
        if not files.is_killed:
            # A killed runner says nothing about the configuration: the next attempt tries it again.
            state = attrs.evolve(state, refused=failed)
            await send_work(self._write, state)
        self.reached("rollback:noted")
        return await self._roll_back(state, failed)

    async def _roll_back(self, state: State, failed: FailedConfig) -> ComputeResult:
        """Start the previous configuration again, or continue an interrupted rollback."""
        previous = state.last_healthy
        assert previous is not None, "a pending state has a previous run"
        files, observation = await observe(self.folder)
        is_down = bool(state.pending) or observation.state is ResourceState.FAILED
        files, observation = await (
            self._restart(attrs.evolve(state, wanted=previous), files)
            if is_down
            else wait_decided(self.folder)
        )
        # The rollback is complete. A later job with this configuration tries it again.
        await self._clear_failed_config(files.state or state)
        if observation.state is not ResourceState.HEALTHY:
            raise ComputeUnavailable(
                "neither the new nor the previous configuration became healthy: "
                f"{observation.detail}"
            )
        return ComputeResult(resource_ids=resource_ids(files), rolled_back=failed.reason)

    async def _restart(self, state: State, files: FolderState) -> tuple[FolderState, Observation]:
        """Start the previous configuration, and wait until it is healthy or has failed."""
        await self._start("rollback", state, files)
        return await wait_decided(self.folder)

    async def _clear_failed_config(self, state: State) -> State:
        state = attrs.evolve(state, refused=None)
        await send_work(self._write, state)
        return state

    async def _record_healthy(self, state: State) -> State:
        healthy = State(wanted=state.wanted, last_healthy=state.wanted)
        if state.last_healthy != state.wanted:
            await send_work(self._write, healthy)
        return healthy

    async def _switch(
        self, before: FolderState, desired: State, forward: Callable[[], Awaitable[ComputeResult]]
    ) -> ComputeResult:
        """Run an update; a cancellation leaves either the previous or the next command running."""
        previous = desired.last_healthy
        if previous is None and before.is_alive and before.state is not None:
            previous = before.state.wanted
        check = desired.wanted.config.health
        stop_and_start = LONGEST_CARRY + longest_stop(LONGEST_STOP_TIMEOUT) + _START_TIMEOUT
        return await switch(
            forward,
            lambda: self._restart_previous(before, desired, previous),
            longest=stop_and_start + (check.within if check is not None else STABLE_AFTER),
        )

    async def _restart_previous(
        self, before: FolderState, desired: State, previous: Run | None
    ) -> None:
        """Start the previous command again, unless the next one has replaced it."""
        files = await asyncio.to_thread(self.folder.read)
        if (state := files.state) is None or previous is None or before.state is None:
            return
        is_of_act = state.wanted.run.startswith(self.act)
        if not is_of_act and state.wanted.run != before.state.wanted.run:
            # The tenant replaced the folder, and this act's lock with it. Another act owns the tenant.
            return
        if files.is_alive and not state.pending and (is_of_act or state != before.state):
            # The switch was complete: the next command is healthy, or the previous one runs again.
            return
        previous = await self._name_run("return", previous, files)
        await self._launch(
            "return", attrs.evolve(state, wanted=previous, last_healthy=desired.last_healthy)
        )

    async def _replace(self, desired: State) -> ComputeResult:
        await self._launch("update", desired)
        await self._wait_started("update")
        return await self._complete_update()

    async def _start(self, act: str, state: State, files: FolderState) -> None:
        run = await self._name_run(act, state.wanted, files)
        await self._launch(act, attrs.evolve(state, wanted=run))
        await self._wait_started(act)

    async def _name_run(self, act: str, run: Run, files: FolderState) -> Run:
        """Give a run a unique name and a port."""
        port = await send_work(self._claim_port, run, files)
        self.reached(f"{act}:claimed")
        return attrs.evolve(run, run=f"{self.act}-{uuid4().hex}", port=port)

    async def _launch(self, act: str, state: State) -> None:
        # The state is written before anything is stopped: on a full disk the running command continues.
        await send_work(self.folder.prepare, state)
        async with stop_all(self.folder, is_new=act == "create") as lock:
            self.reached(f"{act}:ended")
            await send_work(self.folder.commit)
            await send_work(self._release_other_ports, state)
            self.reached(f"{act}:written")
            await send_work(self._spawn, lock)
            self.reached(f"{act}:spawned")

    async def _wait_started(self, act: str) -> None:
        for pause in backoff_delays(_START_TIMEOUT):
            files = await asyncio.to_thread(self.folder.read)
            status = files.run_status
            if status is not None and (status.child or status.ended):
                self.reached(f"{act}:begun")
                return
            if not files.is_alive:
                raise ComputeUnavailable("the runner process ended before it started the command")
            await asyncio.sleep(pause)
        raise ComputeUnavailable(
            f"the runner process did not start the command within {_START_TIMEOUT:g} s"
        )

    def _claim_port(self, run: Run, files: FolderState) -> int:
        before = files.state.wanted if files.state is not None else None
        current = before.port if before is not None and files.is_alive else 0
        if run.config.port:
            return self.claims.claim_fixed(run.config.port, current=current)
        # A run of a rollback keeps its port. A new run keeps the port that was chosen last.
        previous = before.port if before is not None and not before.config.port else 0
        return self.claims.claim_free(run.port or previous, current=current)

    def _write(self, state: State) -> None:
        self.folder.write(state)
        self._release_other_ports(state)

    def _release_other_ports(self, state: State) -> None:
        previous_port = state.last_healthy.port if state.last_healthy else 0
        self.claims.release_others(state.wanted.port, previous_port)

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
    async def _hold_act_lock(
        self, free_lock: Callable[[], None] | None = None
    ) -> AsyncIterator[None]:
        """Take the act lock; if that takes too long, call ``free_lock`` and try once more."""
        lock = await self._wait_act_lock()
        if lock is None and free_lock is not None:
            await send_work(free_lock)
            lock = await self._wait_act_lock()
        if lock is None:
            raise ComputeUnavailable("another worker acts on this tenant")
        try:
            yield
        finally:
            os.close(lock)

    async def _wait_act_lock(self) -> int | None:
        for pause in backoff_delays(_LOCK_TIMEOUT):
            if (lock := await try_lock(self.folder.act_lock)) is not None:
                return lock
            await asyncio.sleep(pause)
        return None
