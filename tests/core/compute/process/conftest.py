import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from landlord_engines_core.compute.process import ProcessCompute
from landlord_engines_core.compute.process.runner import MARK
from landlord_test_target.compute_engines import process_engine


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder for tenants; what still lives of them at the end is killed."""
    folder = tmp_path / "tenants"
    yield folder
    for pid in psutil.pids():
        with suppress(psutil.Error, ProcessLookupError):
            if psutil.Process(pid).environ().get(MARK, "").startswith(str(folder)):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def engine(folder: Path) -> ProcessCompute:
    return process_engine({"folder": str(folder)})
