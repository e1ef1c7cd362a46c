"""The conformance kit: rules that every engine keeps, and tests that prove it.

An author's test is ten lines, and `landlord-host conformance NAME` needs none::

    from landlord_engines_core.conformance import Waiver, WorkerEngineSuite

    class TestMine(WorkerEngineSuite):
        engine = "mine"
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from landlord_engines_core.conformance.compute.bench import Target
    from landlord_engines_core.conformance.suite import ComputeEngineSuite, WorkerEngineSuite
    from landlord_engines_core.conformance.waivers import Waiver

__all__ = ["ComputeEngineSuite", "Target", "Waiver", "WorkerEngineSuite"]

_MODULES = {
    "ComputeEngineSuite": "landlord_engines_core.conformance.suite",
    "Target": "landlord_engines_core.conformance.compute.bench",
    "Waiver": "landlord_engines_core.conformance.waivers",
    "WorkerEngineSuite": "landlord_engines_core.conformance.suite",
}


def __getattr__(name: str) -> Any:
    """Import a public name at its first use."""
    # pytest imports this package in every run of an environment with the kit, for the plugin.
    if name not in _MODULES:
        raise AttributeError(name)
    from importlib import import_module  # noqa: PLC0415  # as above

    return getattr(import_module(_MODULES[name]), name)
