"""Fails if a process has to do with a folder, or a file is left in it: `nox -s demo` asks last.

python examples/left_over.py FOLDER
"""

import os
import sys
from pathlib import Path

import psutil


def main(folder: Path) -> int:
    """Print what is left, and return the exit code."""
    left = [str(path) for path in folder.iterdir()]
    for process in psutil.process_iter(["pid", "cmdline", "cwd"]):
        about = [*(process.info["cmdline"] or ()), process.info["cwd"] or ""]
        if process.pid != os.getpid() and any(str(folder) in part for part in about):
            left.append(f"process {process.pid}: {' '.join(about)}")
    print("\n".join(left) or "no process and no file left behind")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
