"""Wrong engines, and a right one, installed once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from landlord_engines_core.catalog import COMPUTE_ENGINES, WORKER_ENGINES
from landlord_test_target.wrong_engines import compute
from landlord_test_target.wrong_engines.installed import install
from landlord_test_target.wrong_engines.worker import RIGHT, VARIANTS, WRONG, module_of

UNPINNED = "VER-2"


@pytest.fixture(scope="session", autouse=True)
def wrong_engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Install each wrong engine under its rule's name; one distribution declares no range of core's versions."""
    folder = tmp_path_factory.mktemp("installed")
    modules = {rule.lower(): module_of(rule.lower(), lines) for rule, lines in WRONG.items()}
    unpinned = {UNPINNED.lower(): modules.pop(UNPINNED.lower())}
    modules |= {name: module_of(name, lines) for name, lines in VARIANTS.items()}
    modules[RIGHT] = module_of(RIGHT)
    install(folder, WORKER_ENGINES, modules)
    install(folder, WORKER_ENGINES, unpinned, distribution="unpinned-engines", requires="")
    unbound = "Requires-Dist: landlord-engines-core>=0.1\n"
    loose = {"loose": module_of("loose")}
    install(folder, WORKER_ENGINES, loose, distribution="loose-engines", requires=unbound)
    _install_compute_engines(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield folder


def _install_compute_engines(folder: Path) -> None:
    lines = {rule.lower(): text for rule, text in compute.WRONG.items()} | dict(compute.VARIANTS)
    modules = {name: compute.module_of(name, text) for name, text in lines.items()}
    unpinned = {"pin-2": modules.pop("pin-2")}
    install(folder, COMPUTE_ENGINES, modules, distribution="wrong-compute")
    install(folder, COMPUTE_ENGINES, unpinned, distribution="unpinned-compute", requires="")
