from pathlib import Path

import pytest

from landlord_engines_core.compute.process import create_process
from landlord_engines_core.errors import ComputeRefused


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"fodler": "/x"}, "compute.process has no 'fodler'"),
        ({"folder": 1}, r"\$.folder must be a string"),
        ({"folder": "relative"}, "folder is not an absolute path"),
        ({"ports": {"first": 2, "last": 1}}, "ports is not a range"),
        ({"ports": {"first": 0, "last": 1}}, "ports is not a range"),
        ({"ports": {"last": 65536}}, "ports is not a range"),
        ({"output_limit": 0}, "output_limit is less than 1"),
        ({"output_limit": "1"}, r"\$.output_limit must be a whole number"),
    ],
)
def test_a_bad_setting_is_refused_by_its_name(settings: dict[str, object], problem: str) -> None:
    with pytest.raises(ComputeRefused, match=problem):
        create_process(settings)


def test_tenants_are_kept_in_the_users_own_folder_unless_told_otherwise() -> None:
    assert Path(create_process({}).operator.folder).is_relative_to(Path.home())
