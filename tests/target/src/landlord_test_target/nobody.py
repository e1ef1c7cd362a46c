"""Runs code as the user nobody, because file modes and flags do not stop root."""

import os
import subprocess
import sys
from pathlib import Path

__all__ = ["NOBODY", "run_as_nobody"]

NOBODY = 65534

AS_NOBODY = f"""
import asyncio, os, sys
from pathlib import Path
if os.getuid() == 0:
    os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})
"""


def run_as_nobody(code: str, folder: Path) -> None:
    """Run code with `locks` and `removal` in a folder that belongs to nobody."""
    if os.getuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
    # A descriptor instead of a path: that user may not be allowed to open the parent folders.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        path = [entry for entry in sys.path if entry]
        subprocess.run(
            [sys.executable, "-c", PREPARE + AS_NOBODY + code, str(descriptor), *path],
            pass_fds=(descriptor,),
            check=True,
        )
    finally:
        os.close(descriptor)


PREPARE = """
import concurrent.futures.thread, os, sys
os.fchdir(int(sys.argv[1])); sys.path += sys.argv[2:]
from landlord_engines_core.compute.process import locks, removal
"""
