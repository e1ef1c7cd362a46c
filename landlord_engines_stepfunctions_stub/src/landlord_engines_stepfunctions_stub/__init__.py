"""The Landlord worker engine for AWS Step Functions, as a definition only."""

from landlord_engines_stepfunctions_stub.engine import StepFunctionsEngine, factory

__all__ = ["StepFunctionsEngine", "factory"]

__version__ = "0.1.0"
