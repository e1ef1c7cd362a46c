"""The child that says what one engine declares: ``python -m landlord_engines_core.trial.describe``."""

from typing import Any

from landlord_engines_core.catalog import COMPUTE_ENGINES, Candidate
from landlord_engines_core.errors import LandlordEnginesError
from landlord_engines_core.exit_codes import ExitCode
from landlord_engines_core.plugins import load_compute_engine, load_worker_engine
from landlord_engines_core.trial.child import Reporter, run_child
from landlord_engines_core.trial.parent import LONGEST_STAGE, run_trial
from landlord_engines_core.trial.result import Description, Trial

__all__ = ["describe_engine"]


def describe_engine(engine: Candidate) -> Trial:
    """Ask an engine what it declares, in a process of its own."""
    arguments = {"group": engine.group, "name": engine.full_name, "label": engine.label}
    return run_trial(__name__, arguments, limit=LONGEST_STAGE)


def _describe(arguments: Any, reporter: Reporter) -> None:
    reporter.engines = arguments["label"]
    reporter.begin(f"the import of {arguments['label']}", is_import=True)
    if arguments["group"] == COMPUTE_ENGINES:
        _, compute = load_compute_engine(arguments["name"])
        reporter.describe(Description(contract=compute.info.contract, capabilities={}))
        return
    _, factory = load_worker_engine(arguments["name"])
    capabilities = {key.value: support.value for key, support in factory.info.capabilities.items()}
    reporter.describe(Description(contract=factory.info.contract, capabilities=capabilities))


def _exit_code_of(_: LandlordEnginesError) -> ExitCode:
    return ExitCode.USAGE


if __name__ == "__main__":
    run_child(_describe, _exit_code_of)
