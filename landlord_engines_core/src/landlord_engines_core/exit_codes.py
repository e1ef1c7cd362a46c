"""The exit codes of ``landlord-host``, and the exit that is no error."""

from enum import IntEnum

__all__ = ["ExitCode", "ForcedExit"]


class ExitCode(IntEnum):
    """Exit code of the process."""

    DRAINED = 0
    FORCED = 1
    """A second signal ended the process before its drain was over."""
    USAGE = 2
    """A flag or a setting is wrong, or an engine cannot be loaded."""
    FAILED = 3
    """The engine failed, or a command found what is not as desired: a tenant, or an old version in use."""
    NOT_REGISTERED = 4
    REFUSED = 5
    """The engine declines to serve, or lacks what the command needs."""


class ForcedExit(Exception):  # not an error: a second signal asked for it
    """A second signal ended the worker before its drain was over."""
