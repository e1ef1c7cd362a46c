"""The catalog of installed distributions, from metadata that tests write into a folder on the path."""

import sys
from pathlib import Path

import pytest

from landlord_engines_core.catalog import WORKER_ENGINES, match_group, read_catalog


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        ("landlord.worker_engines", "landlord.worker_engines"),
        ("landlord.worker_engines.v2", "landlord.worker_engines"),
        ("landlord.worker_engine", "landlord.worker_engines"),
        ("landlord_worker_engines", "landlord.worker_engines"),
        ("Landlord.Worker-Engines", "landlord.worker_engines"),
        ("landlord.workers", "landlord.worker_engines"),
        ("landlrod.worker_engines", "landlord.worker_engines"),
        ("landlord.compute", "landlord.compute_engines"),
        ("landlord.compute-engines.v3", "landlord.compute_engines"),
        ("landlord.plugins", ""),
        ("landlord", ""),
        ("console_scripts", ""),
    ],
)
def test_a_group_that_is_nearly_one_of_ours_is_known(group: str, expected: str) -> None:
    assert match_group(group) == expected


def test_the_metadata_is_read_again_only_after_the_path_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Other tests write into folders of the real path meanwhile.
    monkeypatch.setattr(sys, "path", [])
    before = read_catalog()
    info = tmp_path / "acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{WORKER_ENGINES}]\nacme = nowhere:factory\n")
    sys.path.append(str(tmp_path))

    after = read_catalog()

    assert not before.find_named(WORKER_ENGINES, "acme")
    assert after.find_named(WORKER_ENGINES, "acme")
    assert read_catalog() is after
