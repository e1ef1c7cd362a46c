"""Ends of subprocesses."""

from asyncio.subprocess import Process

__all__ = ["kill_and_wait"]


async def kill_and_wait(process: Process) -> None:
    """Kill a process that still runs, and wait for its end."""
    # Callers run this in a finally block: a cancelled wait must leave no process behind.
    if process.returncode is None:
        process.kill()
        await process.wait()
