"""The Landlord worker engine for AWS Step Functions, as a stub: it declares capabilities and runs no job."""

from landlord_engines_stepfunctions_stub.engine import StepFunctionsEngine, factory

__all__ = ["StepFunctionsEngine", "factory"]

__version__ = "0.1.0"
