"""Distributions as pip would install them: real metadata and modules, written into a folder."""

import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

from landlord_engines_core.catalog import WORKER_ENGINES

__all__ = ["link_packages", "write_distribution"]


def write_distribution(
    folder: Path,
    name: str,
    points: Mapping[str, str],
    code: str = "",
    *,
    group: str = WORKER_ENGINES,
) -> None:
    """Write a distribution and its one module, which has the distribution's name.

    Args:
        folder: The folder, which belongs on the path.
        name: The name of the distribution.
        points: The targets of its entry points, by their names.
        code: The module's source.
        group: The group of the entry points.
    """
    module = name.replace("-", "_")
    (folder / f"{module}.py").write_text(dedent(code))
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = (f"{point} = {target}\n" for point, target in points.items())
    (info / "entry_points.txt").write_text(f"[{group}]\n{''.join(lines)}")


def link_packages(folder: Path) -> list[str]:
    """Return an import path with all packages of this environment, and none of its distributions.

    Args:
        folder: An empty folder for links to the packages.
    """
    packages = Path(sysconfig.get_paths()["purelib"])
    for entry in packages.iterdir():
        if entry.suffix not in {".dist-info", ".pth"}:
            (folder / entry.name).symlink_to(entry)
    return [*(path for path in sys.path if Path(path) != packages), str(folder)]
