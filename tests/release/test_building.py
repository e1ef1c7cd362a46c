"""Two builds are compared byte by byte."""

from pathlib import Path

import pytest

from release.building import require_equal
from release.programs import ReleaseFailed, run


def build(folder: Path, **files: str) -> Path:
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def test_equal_files_pass(tmp_path: Path) -> None:
    require_equal(build(tmp_path / "a", wheel="x"), build(tmp_path / "b", wheel="x"))


def test_each_file_that_differs_or_is_missing_is_named(tmp_path: Path) -> None:
    first = build(tmp_path / "a", same="x", sdist="x", wheel="x")
    second = build(tmp_path / "b", same="x", sdist="x", wheel="y", extra="x")

    with pytest.raises(ReleaseFailed, match=r"differ in extra, wheel$"):
        require_equal(first, second)


def test_a_program_that_fails_is_named_with_its_code_and_its_output() -> None:
    with pytest.raises(ReleaseFailed, match=r"echo why >&2; exit 4 ended with 4:\nwhy$"):
        run("sh", "-c", "echo why >&2; exit 4")
