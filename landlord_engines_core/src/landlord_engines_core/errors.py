"""Every error that this framework raises on purpose.

The tree, with the stable code of each class::

    LandlordEnginesError              LE100  catch this to catch all of ours
    ├── SettingsError                 LE101  a setting or a flag is wrong
    ├── ProbesFailed                  LE111  the probes cannot listen
    ├── PluginError                   LE200  an engine cannot be loaded
    │   ├── PluginNotInstalled        LE201
    │   ├── PluginAmbiguous           LE202
    │   ├── PluginIncompatible        LE203
    │   ├── PluginImportFailed        LE204
    │   ├── PluginWrongType           LE205
    │   └── PluginSettingsRefused     LE206
    ├── EngineError                   LE300  a worker engine cannot go on
    │   ├── EngineFailed              LE301
    │   ├── EngineRefused             LE302  it declines to serve at all
    │   ├── CapabilityNotSupported    LE303
    │   ├── DeploymentInUse           LE304  an old version may not go yet
    │   └── RegistrationError         LE310
    │       ├── RegistrationFailed    LE311  worth another try
    │       └── RegistrationRefused   LE312  another try will not help
    ├── JobError                      LE400  how a job ends other than by its work
    │   ├── InvalidJob                LE401  ends at once, for good
    │   ├── Held                      LE402  waits until its configuration changes
    │   ├── Transient                 LE403  is tried again soon
    │   │   ├── Queued                LE407  waits for a slot; nothing failed
    │   │   └── SetApart              LE408  its worker was killed in the midst of it
    │   ├── StillRunning              LE406  what is to be resynced has not ended yet
    │   └── Superseded                LE404  a younger job has the tenant's lock
    │       └── ExecutionEnded        LE405  the backend shows this very execution as ended
    ├── ComputeError                  LE500  raised by compute engines
    │   ├── ComputeRefused            LE501  permanent until the configuration changes
    │   └── ComputeUnavailable        LE502  may work later
    ├── LandlordUnavailable           LE601  Landlord's API gave no usable answer
    └── DemoFailed                    LE701  a demo did not see what was to come

A message says what is wrong and where; ``hint`` says what to do next. Neither ever holds a value
out of a tenant's configuration, since both end up in logs and in the backend. The names that they
hold may be a tenant's own words, so both are bounded in length.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

__all__ = [
    "CapabilityNotSupported",
    "ComputeError",
    "ComputeRefused",
    "ComputeUnavailable",
    "DemoFailed",
    "DeploymentInUse",
    "EngineError",
    "EngineFailed",
    "EngineRefused",
    "ExecutionEnded",
    "ExitAttempted",
    "Held",
    "InvalidJob",
    "JobError",
    "LandlordEnginesError",
    "LandlordUnavailable",
    "PluginAmbiguous",
    "PluginError",
    "PluginImportFailed",
    "PluginIncompatible",
    "PluginNotInstalled",
    "PluginSettingsRefused",
    "PluginWrongType",
    "ProbesFailed",
    "Queued",
    "RegistrationError",
    "RegistrationFailed",
    "RegistrationRefused",
    "SetApart",
    "SettingsError",
    "StillRunning",
    "Superseded",
    "Transient",
    "exits_as_errors",
    "kind_of",
    "told_tenant",
]


LONGEST = 2000
"""Characters of a message; what a tenant names may be as long as its configuration."""

LONGEST_PAUSE = 300.0
"""Seconds until the next try, at most, whatever a target asks for."""


class LandlordEnginesError(Exception):
    """The base of all errors of this framework.

    Attributes:
        code: The stable code of the class, for searching and for alerts.
        message: What is wrong, and where.
        hint: What to do next; may be empty.
    """

    code: ClassVar[str] = "LE100"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = _presentable(message)
        self.hint = _presentable(hint)

    def __str__(self) -> str:
        hint = f"; {self.hint}" if self.hint else ""
        return f"{self.code}: {self.message}{hint}"


def _presentable(text: str) -> str:
    """Shorten, and escape what UTF-8 cannot write: half a surrogate pair in a tenant's word."""
    cut = len(text) - LONGEST
    text = f"{text[:LONGEST]} ({cut} characters more)" if cut > 0 else text
    return text.encode("utf-8", "backslashreplace").decode()


class SettingsError(LandlordEnginesError):
    """A setting, an environment variable or a flag is wrong."""

    code = "LE101"


class ProbesFailed(LandlordEnginesError):
    """The address of the probes is taken, or not this machine's."""

    code = "LE111"


class PluginError(LandlordEnginesError):
    """An engine that was asked for cannot be loaded."""

    code = "LE200"


class PluginNotInstalled(PluginError):
    """No installed distribution offers an engine of this name."""

    code = "LE201"


class PluginAmbiguous(PluginError):
    """Several distributions offer an engine of this name."""

    code = "LE202"


class PluginIncompatible(PluginError):
    """The engine speaks another major version of the contract, or needs what this host lacks."""

    code = "LE203"


class PluginImportFailed(PluginError):
    """The engine's module cannot be imported."""

    code = "LE204"


class PluginWrongType(PluginError):
    """The entry point leads to something that is not an engine factory."""

    code = "LE205"


class PluginSettingsRefused(PluginError):
    """The engine's factory does not accept its settings."""

    code = "LE206"


class EngineError(LandlordEnginesError):
    """A worker engine cannot go on."""

    code = "LE300"


class EngineFailed(EngineError):
    """The worker engine stopped serving, or could not begin."""

    code = "LE301"


class EngineRefused(EngineError):
    """The worker engine declines to serve at all."""

    code = "LE302"


class CapabilityNotSupported(EngineError):
    """An optional ability was used that the worker engine does not declare."""

    code = "LE303"


class DeploymentInUse(EngineError):
    """After a move, something that the old version of the worker has begun still needs it."""

    code = "LE304"


class RegistrationError(EngineError):
    """The worker could not be announced to its backend."""

    code = "LE310"


class RegistrationFailed(RegistrationError):
    """This attempt failed; another one may succeed."""

    code = "LE311"


class RegistrationRefused(RegistrationError):
    """The registration cannot succeed until somebody changes something."""

    code = "LE312"


class JobError(LandlordEnginesError):
    """How a job ends, or waits, other than by having done its work.

    Attributes:
        tenant: Whose job it is, set for one that waits: a backend shows the text, by which the job
            is found.
    """

    code = "LE400"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.tenant = ""

    def __str__(self) -> str:
        return (
            f"{super().__str__()} {told_tenant(self.tenant)}" if self.tenant else super().__str__()
        )


def told_tenant(tenant: str) -> str:
    """How the text of a job that waits names its tenant."""
    return f"(tenant {_presentable(tenant)})"


class InvalidJob(JobError):
    """The job can never be done as it was sent; it ends at once.

    Attributes:
        status: The HTTP status that tells the sender, 400 to 499.
    """

    code = "LE401"

    def __init__(self, message: str, *, hint: str = "", status: int = 400) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class Held(JobError):
    """The job cannot be done until its configuration, or the worker's, changes.

    Attributes:
        retry_after: Seconds until it is tried again.
    """

    code = "LE402"

    def __init__(self, message: str, *, hint: str = "", retry_after: float) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class Transient(JobError):
    """The job failed in a way that may pass by itself.

    Attributes:
        retry_after: Seconds until the next try where the target named them, else ``None``: the
            worker engine then lets the pause grow.
    """

    code = "LE403"

    def __init__(self, message: str, *, hint: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class Queued(Transient):
    """The step found no slot in time and keeps its place; it did nothing, and nothing failed."""

    code = "LE407"


class SetApart(Transient):
    """Earlier attempts of the job have lost their worker; it has begun nothing, and waits."""

    code = "LE408"


class Superseded(JobError):
    """A job that was dispatched later has the tenant's lock; this one must touch nothing more."""

    code = "LE404"


class ExecutionEnded(Superseded):
    """The backend shows this very execution as ended: it was killed, and must touch nothing more."""

    code = "LE405"


class StillRunning(JobError):
    """The job that a tenant is to be resynced after has not ended yet."""

    code = "LE406"


class ComputeError(LandlordEnginesError):
    """A compute engine could not do what it was asked."""

    code = "LE500"


class ComputeRefused(ComputeError):
    """The target, a policy or the engine refuses this configuration; only a change of it helps."""

    code = "LE501"


class ComputeUnavailable(ComputeError):
    """The target did not answer, or not now.

    Attributes:
        retry_after: Seconds after which the target asked to be tried again, if it did; never more
            than ``LONGEST_PAUSE``, whatever it asked for, and ``None`` for what is no pause.
    """

    code = "LE502"

    def __init__(self, message: str, *, hint: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = _bounded(retry_after)


def _bounded(pause: float | None) -> float | None:
    # A NaN is greater than nothing, and less than nothing too.
    return min(pause, LONGEST_PAUSE) if pause is not None and pause >= 0 else None


class LandlordUnavailable(LandlordEnginesError):
    """Landlord's API cannot be reached, or answered with something that is not its own."""

    code = "LE601"


class DemoFailed(LandlordEnginesError):
    """What a demo was to show did not come in time."""

    code = "LE701"


class ExitAttempted(RuntimeError):
    """A plugin's code tried to end the process: it is an error as any other."""


@contextmanager
def exits_as_errors() -> Iterator[None]:
    """Have an error in place of a plugin's attempt to end the process, with whatever code.

    Raises:
        ExitAttempted: SystemExit or KeyboardInterrupt was raised.
    """
    try:
        yield
    except (SystemExit, KeyboardInterrupt) as error:
        raise ExitAttempted(f"{type(error).__name__} was raised") from error


def kind_of(error: BaseException) -> str:
    """The name of an error's type; of an attempt to end the process, that of what was raised."""
    cause = error.__cause__ if isinstance(error, ExitAttempted) else None
    return type(cause or error).__name__
