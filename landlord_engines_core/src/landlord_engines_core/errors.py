"""All errors that this framework raises on purpose.

The tree, with the stable code of each class::

    LandlordEnginesError              LE100  base of all
    ├── SettingsError                 LE101  a setting or a flag is wrong
    ├── ProbesFailed                  LE111  the probes cannot listen
    ├── PluginError                   LE200  an engine cannot be loaded
    │   ├── PluginNotInstalled        LE201
    │   ├── PluginAmbiguous           LE202
    │   ├── PluginIncompatible        LE203
    │   ├── PluginImportFailed        LE204
    │   ├── PluginWrongType           LE205
    │   ├── PluginSettingsRefused     LE206
    │   └── PluginInvalid             LE207
    ├── EngineError                   LE300  a worker engine failed
    │   ├── EngineFailed              LE301
    │   ├── EngineRefused             LE302  the engine declines to serve at all
    │   ├── CapabilityNotSupported    LE303
    │   ├── DeploymentInUse           LE304  an old version is still needed
    │   ├── TenantNotFound            LE305  the backend knows no such tenant
    │   └── RegistrationError         LE310
    │       ├── RegistrationFailed    LE311  another attempt may succeed
    │       └── RegistrationRefused   LE312  another attempt will not help
    ├── JobError                      LE400  a job that did not do its work
    │   ├── InvalidJob                LE401  ends at once
    │   ├── Held                      LE402  waits until its configuration changes
    │   ├── Transient                 LE403  is tried again soon
    │   │   ├── Queued                LE407  waits for a slot; nothing failed
    │   │   └── SetApart              LE408  its worker was killed during the job
    │   ├── StillRunning              LE406  the job before a resync still runs
    │   └── Superseded                LE404  a younger job has the tenant's lock
    │       └── ExecutionEnded        LE405  the backend shows this execution as ended
    ├── ComputeError                  LE500  raised by compute engines
    │   ├── ComputeRefused            LE501  permanent until the configuration changes
    │   ├── ComputeUnavailable        LE502  another attempt may succeed
    │   └── ComputeDefect             LE503  raised in place of any other error
    ├── LandlordUnavailable           LE601  Landlord's API gave no usable answer
    ├── DemoFailed                    LE701  a demo did not see the expected result
    └── NotConformant                 LE702  an engine breaks a rule of its contract, or a rule did not run

A message says what failed and where, and ``hint`` says what to do next. Neither contains a value of a
tenant's configuration, since both reach logs and the backend. Both are bounded in length, since they
may contain names that a tenant chose.

A worker engine may add classes and codes of its own. The Restate engine has LE321 and LE322, below
``EngineError``.
"""

from typing import ClassVar

__all__ = [
    "CapabilityNotSupported",
    "ComputeDefect",
    "ComputeError",
    "ComputeRefused",
    "ComputeUnavailable",
    "DemoFailed",
    "DeploymentInUse",
    "EngineError",
    "EngineFailed",
    "EngineRefused",
    "ExecutionEnded",
    "Held",
    "InvalidJob",
    "JobError",
    "LandlordEnginesError",
    "LandlordUnavailable",
    "NotConformant",
    "PluginAmbiguous",
    "PluginError",
    "PluginImportFailed",
    "PluginIncompatible",
    "PluginInvalid",
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
    "TenantNotFound",
    "Transient",
    "name_tenant",
]


LONGEST = 2000
"""Characters of a message that are kept; a tenant's names may be as long as its configuration."""

LONGEST_PAUSE = 300.0
"""Seconds until the next attempt at most, whatever pause a target asks for."""


class LandlordEnginesError(Exception):
    """Base of all errors of this framework.

    Attributes:
        code: The stable code of the class, for searches and alerts.
        message: What failed, and where.
        hint: The next action; may be empty.
    """

    code: ClassVar[str] = "LE100"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = _make_printable(message)
        self.hint = _make_printable(hint)

    def __str__(self) -> str:
        hint = f"; {self.hint}" if self.hint else ""
        return f"{self.code}: {self.message}{hint}"


def _make_printable(text: str) -> str:
    """Shorten a text, and escape half a surrogate pair, which UTF-8 cannot encode."""
    cut = len(text) - LONGEST
    text = f"{text[:LONGEST]} ({cut} characters more)" if cut > 0 else text
    return text.encode("utf-8", "backslashreplace").decode()


class SettingsError(LandlordEnginesError):
    """A setting, an environment variable or a flag is wrong."""

    code = "LE101"


class ProbesFailed(LandlordEnginesError):
    """The address of the probes is in use, or not an address of this machine."""

    code = "LE111"


class PluginError(LandlordEnginesError):
    """An engine cannot be loaded."""

    code = "LE200"


class PluginNotInstalled(PluginError):
    """No installed distribution offers an engine of this name."""

    code = "LE201"


class PluginAmbiguous(PluginError):
    """Several entry points have the name of this engine."""

    code = "LE202"


class PluginIncompatible(PluginError):
    """The engine implements another major version of the contract, or needs another core."""

    code = "LE203"


class PluginImportFailed(PluginError):
    """The engine's module cannot be imported."""

    code = "LE204"


class PluginWrongType(PluginError):
    """The entry point's target is not an engine factory."""

    code = "LE205"


class PluginSettingsRefused(PluginError):
    """The engine's factory refuses its settings."""

    code = "LE206"


class PluginInvalid(PluginError):
    """The factory of the engine is incomplete, or the engine lacks what its factory declares."""

    code = "LE207"


class EngineError(LandlordEnginesError):
    """A worker engine failed."""

    code = "LE300"


class EngineFailed(EngineError):
    """The worker engine stopped serving, or could not start."""

    code = "LE301"


class EngineRefused(EngineError):
    """The worker engine declines to serve at all."""

    code = "LE302"


class CapabilityNotSupported(EngineError):
    """A call needs a capability that the worker engine does not declare."""

    code = "LE303"


class DeploymentInUse(EngineError):
    """Executions still need the old version of the worker after a move."""

    code = "LE304"


class TenantNotFound(EngineError):
    """The backend has neither a record nor an open job of the tenant."""

    code = "LE305"


class RegistrationError(EngineError):
    """The worker is not registered at its backend."""

    code = "LE310"


class RegistrationFailed(RegistrationError):
    """The attempt to register failed, and another one may succeed."""

    code = "LE311"


class RegistrationRefused(RegistrationError):
    """The registration cannot succeed until somebody changes something."""

    code = "LE312"


class JobError(LandlordEnginesError):
    """A job that ended or waits without having done its work.

    Attributes:
        tenant: The tenant of a job that waits, else empty. The backend shows the text, and the tenant
            in it makes the job findable.
    """

    code = "LE400"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.tenant = ""

    def __str__(self) -> str:
        return (
            f"{super().__str__()} {name_tenant(self.tenant)}" if self.tenant else super().__str__()
        )


def name_tenant(tenant: str) -> str:
    """Name a tenant as the text of a waiting job does."""
    return f"(tenant {_make_printable(tenant)})"


class InvalidJob(JobError):
    """The job can never be done as it was sent, and ends at once.

    Attributes:
        status: The HTTP status for the sender, 400 to 499.
    """

    code = "LE401"

    def __init__(self, message: str, *, hint: str = "", status: int = 400) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class Held(JobError):
    """The job waits until its configuration, or the worker's, changes.

    Attributes:
        retry_after: Seconds until the next attempt.
    """

    code = "LE402"

    def __init__(self, message: str, *, hint: str = "", retry_after: float) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class Transient(JobError):
    """The attempt failed, and another one may succeed.

    Attributes:
        retry_after: Seconds until the next attempt, if the target named them. Otherwise ``None``,
            and the worker engine lets the pause grow.
    """

    code = "LE403"

    def __init__(self, message: str, *, hint: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class Queued(Transient):
    """The step got no slot in time and keeps its position. It did nothing, and nothing failed."""

    code = "LE407"


class SetApart(Transient):
    """Earlier attempts of the job lost their worker. This one did nothing, and waits."""

    code = "LE408"


class Superseded(JobError):
    """A job dispatched later has the tenant's lock; this job must change nothing more."""

    code = "LE404"


class ExecutionEnded(Superseded):
    """The backend shows this execution as ended: it was killed, and must change nothing more."""

    code = "LE405"


class StillRunning(JobError):
    """The job before a resync still runs."""

    code = "LE406"


class ComputeError(LandlordEnginesError):
    """A compute engine failed."""

    code = "LE500"


class ComputeRefused(ComputeError):
    """The target, a policy or the engine refuses the configuration until it changes."""

    code = "LE501"


class ComputeDefect(ComputeError):
    """The compute engine raised an error that it must not raise, or tried to end the process."""

    code = "LE503"


class ComputeUnavailable(ComputeError):
    """The target did not answer, or asks for another attempt later.

    Attributes:
        retry_after: Seconds until the next attempt, if the target named them; at most
            ``LONGEST_PAUSE``.
    """

    code = "LE502"

    def __init__(self, message: str, *, hint: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = _bound_pause(retry_after)


def _bound_pause(pause: float | None) -> float | None:
    # A comparison with NaN is false, so that NaN and negative pauses become None.
    return min(pause, LONGEST_PAUSE) if pause is not None and pause >= 0 else None


class LandlordUnavailable(LandlordEnginesError):
    """Landlord's API cannot be reached, or gave an answer that is not Landlord's."""

    code = "LE601"


class DemoFailed(LandlordEnginesError):
    """The demo did not see the expected result in time."""

    code = "LE701"


class NotConformant(LandlordEnginesError):
    """The engine breaks a rule of its contract, or a rule of the conformance kit did not run."""

    code = "LE702"
