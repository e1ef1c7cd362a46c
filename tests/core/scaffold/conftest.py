"""A rendered distribution, as pip would install it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from landlord_engines_core.catalog import COMPUTE_ENGINES, WORKER_ENGINES
from landlord_engines_core.scaffold import Scaffold
from landlord_test_target.wrong_engines.installed import install

GROUPS = {"worker": WORKER_ENGINES, "compute": COMPUTE_ENGINES}

Install = Callable[[Scaffold, Path], None]


@pytest.fixture
def install_rendered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Install a rendered distribution for this test: its metadata, and its sources on the path."""

    def install_into_path(scaffold: Scaffold, distribution: Path) -> None:
        group, site = GROUPS[scaffold.kind], tmp_path / "site"
        install(site, group, {}, distribution=scaffold.distribution)
        (entry_points,) = site.rglob("entry_points.txt")
        entry_points.write_text(f"[{group}]\n{scaffold.name} = {scaffold.module}:factory\n")
        for folder in (distribution / "src", site):
            monkeypatch.syspath_prepend(folder)

    return install_into_path
