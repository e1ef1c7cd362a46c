"""Termination of subprocesses."""

from asyncio.subprocess import Process

__all__ = ["kill_and_wait"]


async def kill_and_wait(process: Process) -> None:
    """Kill a process that still runs, and wait for its end."""
    # Callers use this in a finally block, so that a cancelled wait leaves no process behind.
    if process.returncode is None:
        process.kill()
        await process.wait()
