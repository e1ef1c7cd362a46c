"""A folder that other users can reach."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest


@pytest.fixture
def shared_path() -> Iterator[Path]:
    """A folder that each user may enter. pytest resets the mode of its own folders at each start."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = Path(folder)
        path.chmod(0o755)
        yield path
