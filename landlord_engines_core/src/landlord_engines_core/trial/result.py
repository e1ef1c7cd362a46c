"""The result of a trial, and the messages that carry it from one process to the other."""

from collections.abc import Mapping

import attrs

from landlord_engines_core.errors import (
    EngineFailed,
    LandlordEnginesError,
    PluginImportFailed,
)
from landlord_engines_core.exit_codes import ExitCode
from landlord_engines_core.plugin_origins import find_origin

__all__ = ["START", "Description", "Failure", "Finding", "Message", "Request", "Stage", "Trial"]


@attrs.frozen(kw_only=True)
class Request:
    """Request of the parent.

    Attributes:
        limit: Seconds that a stage may take, if it has no limit of its own.
        arguments: The arguments of the trial's body.
        debug: Whether to write the traceback of an unexpected error, which may quote a setting.
    """

    limit: float
    arguments: object
    debug: bool = False


@attrs.frozen(kw_only=True)
class Failure:
    """Error of the child, in words.

    Attributes:
        code: The error's stable code; empty for an unexpected error.
        message: What failed, and where.
        hint: The next action; may be empty.
        exit_code: The exit code of a command that ends with it.
    """

    code: str
    message: str
    hint: str
    exit_code: int

    def __str__(self) -> str:
        code = f"{self.code}: " if self.code else ""
        hint = f"; {self.hint}" if self.hint else ""
        return f"{code}{self.message}{hint}"

    @classmethod
    def of(cls, error: LandlordEnginesError, exit_code: int) -> "Failure":
        """Describe an error of this framework."""
        return cls(
            code=error.code, message=error.message, hint=error.hint, exit_code=int(exit_code)
        )

    @classmethod
    def unexpected(cls, error: BaseException) -> "Failure":
        """Describe another error by its type and location, but not its text."""
        # The text may contain a settings value.
        return cls(
            code="",
            message=f"unexpected {type(error).__name__} at {find_origin(error)}",
            hint="run the command with --debug for the traceback, and report it",
            exit_code=ExitCode.FAILED,
        )


@attrs.frozen(kw_only=True)
class Stage:
    """Part of a trial that has a time limit.

    Attributes:
        label: What is done with which engine, such as ``the import of worker engine mine (...)``.
        limit: Seconds.
        is_import: Whether an engine that fails here cannot be loaded.
        is_last: Whether the child has nothing left to do but to end.
    """

    label: str
    limit: float
    is_import: bool = False
    is_last: bool = False

    def failure(self, message: str, hint: str) -> Failure:
        """Describe a failure of the engine in this stage."""
        if self.is_import:
            return Failure.of(PluginImportFailed(message, hint=hint), ExitCode.USAGE)
        return Failure.of(EngineFailed(message, hint=hint), ExitCode.FAILED)


START = Stage(label="the start of the trial", limit=60.0)
"""Begins before the first engine's code runs."""


@attrs.frozen(kw_only=True)
class Finding:
    """One result of a trial.

    Attributes:
        subject: What was tried, such as ``settings``; empty for a failure that has no text.
        text: The result in words.
        failure: Why it is no success.
    """

    subject: str = ""
    text: str = ""
    failure: Failure | None = None


@attrs.frozen(kw_only=True)
class Description:
    """Declaration of an engine, as plain JSON values.

    Attributes:
        contract: The major version of the contract that it implements.
        capabilities: The degree of support, by capability.
    """

    contract: int
    capabilities: Mapping[str, str]


@attrs.frozen(kw_only=True)
class Message:
    """One line from the child to the parent; one of the attributes is set."""

    stage: Stage | None = None
    finding: Finding | None = None
    description: Description | None = None


@attrs.frozen(kw_only=True)
class Trial:
    """Result of a trial.

    Attributes:
        findings: What was found, in order. A failure of the process itself is the last one.
        description: What the engine declares, if the trial asked for it and came so far.
        output: What the child wrote to its standard output, shortened.
        log: What it wrote to its standard error, shortened.
    """

    findings: tuple[Finding, ...]
    description: Description | None = None
    output: str = ""
    log: str = ""

    @property
    def failures(self) -> tuple[Failure, ...]:
        """The failures, in order."""
        return tuple(finding.failure for finding in self.findings if finding.failure is not None)
