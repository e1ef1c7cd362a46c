import subprocess
import sys

from landlord_test_target.compute_engines import ecs_engine

WITHOUT = """
import sys
sys.modules["aiobotocore"] = None
import landlord_engines_core.cli
from landlord_engines_core.errors import PluginImportFailed
from landlord_engines_core.compute import ComputeContext, ecs, mock
from landlord_engines_core.compute.ecs.settings import EcsSettings
context = ComputeContext(settings=EcsSettings(), logger=None)
mock.factory.create_engine(context)
try:
    ecs.factory.create_engine(context)
except PluginImportFailed as error:
    print(error)
"""


def test_without_its_extra_core_works_and_the_engine_names_what_to_install() -> None:
    completed = subprocess.run(
        [sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=False
    )

    assert completed.returncode == 0, completed.stderr
    assert "aiobotocore" in completed.stdout
    assert "pip install 'landlord-engines-core[ecs]'" in completed.stdout


def test_with_its_extra_the_settings_section_creates_the_engine() -> None:
    engine = ecs_engine({"service_name_prefix": "t-"})

    assert engine.config_defaults() == {"service_name_prefix": "t-"}
