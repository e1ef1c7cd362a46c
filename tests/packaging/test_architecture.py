"""The page that shows where things are names what is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PATHS = re.findall(r"`([\w/]+\.py)`", (ROOT / "docs" / "architecture.md").read_text("utf-8"))


@pytest.mark.parametrize("path", PATHS)
def test_each_path_in_the_architecture_exists(path: str) -> None:
    assert (ROOT / path).is_file()


def test_each_part_of_a_job_is_explained_in_the_architecture() -> None:
    opened = {Path(path).stem for path in PATHS}

    assert opened >= {"parsing", "run", "resync", "resolution", "failures", "services", "protocol"}
