"""Scripts that replace real programs, and checks of their processes."""

import asyncio
import os
import stat
from pathlib import Path
from textwrap import dedent

__all__ = ["content_of", "is_running", "write_program"]


def write_program(path: Path, text: str) -> Path:
    """Write an executable script, and its folder where that is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(text))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def is_running(pid: int) -> bool:
    """Whether a process of this id exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def content_of(path: Path) -> str:
    """Wait until a file has content, and return it."""
    async with asyncio.timeout(10):
        while not path.exists() or not (text := path.read_text()):
            await asyncio.sleep(0.01)
    return text
