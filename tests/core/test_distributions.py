"""Each test writes real metadata into a folder on the path, and damages it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from landlord_engines_core.catalog import WORKER_ENGINES, list_damaged, list_engines
from landlord_engines_core.distributions import read_installed
from landlord_engines_core.errors import PluginNotInstalled
from landlord_engines_core.plugins import load_worker_engine

POINTS = f"[{WORKER_ENGINES}]\nacme = nowhere:factory\n".encode()
METADATA = b"Metadata-Version: 2.1\nName: acme-engine\nVersion: 1.0\n"

Write = Callable[..., None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    monkeypatch.syspath_prepend(tmp_path)

    def write_distribution(
        folder: str, points: bytes = POINTS, metadata: bytes | None = METADATA
    ) -> None:
        info = tmp_path / folder
        info.mkdir()
        (info / "entry_points.txt").write_bytes(points)
        if metadata is not None:
            (info / "METADATA").write_bytes(metadata)

    return write_distribution


def list_acme_engines() -> list[str]:
    return [str(engine) for engine in list_engines(WORKER_ENGINES) if engine.name == "acme"]


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        (b"[console_scripts]\nno equals sign\n", "has a line without '='"),
        (b"[console_scripts]\nx = \xff:main\n", "is not UTF-8"),
    ],
)
def test_unreadable_entry_points_hide_no_others(write: Write, points: bytes, reason: str) -> None:
    write("bad-2.0.dist-info", points, b"Metadata-Version: 2.1\nName: bad\nVersion: 2.0\n")
    write("acme_engine-1.0.dist-info")

    assert list_acme_engines() == ["acme (acme-engine 1.0, nowhere:factory)"]
    assert f"bad 2.0: its entry_points.txt {reason}" in map(str, list_damaged())


@pytest.mark.parametrize("metadata", [None, b"", b"Name: \xff\n"])
def test_a_distribution_without_metadata_is_named_by_its_folder(
    write: Write, metadata: bytes | None
) -> None:
    write("acme_engine-1.0.dist-info", metadata=metadata)

    assert list_acme_engines() == ["acme (acme-engine 1.0, nowhere:factory)"]
    assert "acme-engine 1.0: its METADATA is missing or cannot be read" in map(str, list_damaged())


def test_a_folder_with_an_odd_name_is_reported_by_its_name(write: Write) -> None:
    write("odd.dist-info", metadata=None)

    assert list_acme_engines() == ["acme (odd.dist-info unknown, nowhere:factory)"]


def test_leftover_folders_of_pip_are_ignored(write: Write) -> None:
    write("acme_engine-1.0.dist-info")
    write("~cme_engine-0.9.dist-info")
    write("-cme_engine-0.8.dist-info")

    assert list_acme_engines() == ["acme (acme-engine 1.0, nowhere:factory)"]


def test_of_two_distributions_with_one_name_the_readable_one_counts(write: Write) -> None:
    write("acme_engine-0.9.dist-info", metadata=None)
    write("acme_engine-1.0.dist-info")

    assert list_acme_engines() == ["acme (acme-engine 1.0, nowhere:factory)"]
    assert not list_damaged()


def test_an_unreadable_distribution_is_named_if_an_engine_is_missing(write: Write) -> None:
    write("bad-2.0.dist-info", b"[x]\nno equals sign\n", None)

    with pytest.raises(PluginNotInstalled) as missed:
        load_worker_engine("acme")

    assert "bad 2.0: its entry_points.txt" in missed.value.hint


def test_distributions_without_engines_are_left_out(write: Write) -> None:
    write("acme_engine-1.0.dist-info", b"[console_scripts]\nx = y:z\n")

    assert "acme-engine" not in [
        distribution.name for distribution in read_installed(lambda _: False)
    ]


def test_of_two_readable_distributions_with_one_name_the_first_counts(write: Write) -> None:
    write("acme_engine-1.0.dist-info")
    write("acme_engine-0.9.dist-info")

    assert len(list_acme_engines()) == 1
