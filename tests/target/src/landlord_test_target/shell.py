"""A reader's shell, in which the commands of a document run one after the other."""

import asyncio
import os
import signal
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import attrs

__all__ = ["Shell", "open_shell"]

# A document's output has long lines, for example a container's description.
_LONGEST_LINE = 2**20


@attrs.define(kw_only=True)
class Shell:
    """A shell that keeps its folder, its variables and its functions between commands.

    Attributes:
        names: What the documents call something, and what the test calls it. Each command is changed.
        within: Seconds for each command.
    """

    process: Process
    names: Mapping[str, str]
    within: float
    _mark: str = attrs.field(init=False, factory=lambda: f"done-{uuid4().hex}")

    async def run(self, command: str) -> str:
        """Run a command, which has to succeed, and return its output."""
        self._write(command, f"printf '\\n%s %s\\n' {self._mark} $?")
        async with asyncio.timeout(self.within):
            *lines, end = [line async for line in self._lines()]
        output = "\n".join(lines).strip("\n")
        assert end == f"{self._mark} 0", f"{command}\n{output}\n{end}"
        return output

    async def start(self, command: str, until: str) -> None:
        """Start a command that runs until the shell ends; return once it has printed ``until``."""
        self._write(f"exec {command}")
        seen = []
        async with asyncio.timeout(self.within):
            async for line in self._lines():
                seen.append(line)
                if until in line:
                    return
        raise AssertionError(f"{command}\n" + "\n".join(seen))

    def _write(self, command: str, *more: str) -> None:
        assert self.process.stdin is not None
        for documented, own in self.names.items():
            command = command.replace(documented, own)
        # A command must not read the commands after it.
        lines = ("{", command, "} </dev/null", *more, "")
        self.process.stdin.write("\n".join(lines).encode())

    async def _lines(self) -> AsyncIterator[str]:
        """Read the output's lines, the mark after a command included."""
        assert self.process.stdout is not None
        async for raw in self.process.stdout:
            line = raw.decode().rstrip("\n")
            yield line
            if line.startswith(self._mark):
                return

    async def end(self) -> int:
        """End the shell and what it runs by SIGINT, as Ctrl-C does; return the exit code."""
        if self.process.returncode is None:
            os.killpg(self.process.pid, signal.SIGINT)
        await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode


@asynccontextmanager
async def open_shell(
    folder: Path,
    *before: str,
    environment: Mapping[str, str] | None = None,
    names: Mapping[str, str] | None = None,
    within: float = 120.0,
) -> AsyncIterator[Shell]:
    """Open a shell in a folder. What still runs at the end is killed.

    Args:
        folder: The working folder.
        before: The command that runs the shell elsewhere, for example in a container.
        environment: Variables beside those of the tests.
        names: See `Shell`.
        within: See `Shell`.
    """
    process = await asyncio.create_subprocess_exec(
        *before,
        "bash",
        env={**os.environ, **(environment or {})},
        cwd=folder,
        stdin=PIPE,
        stdout=PIPE,
        stderr=STDOUT,
        limit=_LONGEST_LINE,
        start_new_session=True,
    )
    try:
        yield Shell(process=process, names=names or {}, within=within)
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.communicate()
