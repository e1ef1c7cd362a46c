"""The catalog of installed distributions, from metadata that tests write into a folder on the path."""

import pytest

from landlord_engines_core.catalog import meant_group


@pytest.mark.parametrize(
    ("group", "meant"),
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
def test_a_group_that_is_nearly_one_of_ours_is_known(group: str, meant: str) -> None:
    assert meant_group(group) == meant
