"""The runner of ``process``, as a program that coverage measures and that kills a process at a failpoint.

    python crashing_runner.py POINT VICTIM FOLDER DESCRIPTOR

VICTIM is a process id, or 0 for the runner itself. The program loads the runner by its path, because
an import of its package would take half a second of processor time for each tenant.
"""

import os
import signal
import sys
from collections.abc import Callable
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

__all__: list[str] = []


def _load() -> Callable[..., Any]:
    package = find_spec("landlord_engines_core")
    assert package is not None
    assert package.origin is not None
    path = Path(package.origin).parent / "compute" / "process" / "runner.py"
    # Coverage chooses modules by their names.
    spec = spec_from_file_location("landlord_engines_core.compute.process.runner", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    main: Callable[..., Any] = module.main
    return main


def _run(point: str, victim: int, *arguments: str) -> None:
    """Run a command as `process` does, and kill a process at a failpoint of the runner."""

    def reached(at: str) -> None:
        if at == point:
            os.kill(victim or os.getpid(), signal.SIGKILL)

    _load()(arguments, reached)


if __name__ == "__main__":
    _run(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
