"""Errors of Restate's admin API."""

from landlord_engines_core.errors import EngineError

__all__ = ["AdminRefused", "AdminUnavailable"]


class AdminUnavailable(EngineError):
    """The admin API gave no usable response; a retry may succeed."""

    code = "LE321"


class AdminRefused(EngineError):
    """The admin API understood the request and refused it.

    Attributes:
        status: The HTTP status.
        restate_code: Restate's code, for example META0003; may be empty.
    """

    code = "LE322"

    def __init__(self, message: str, *, status: int, restate_code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.restate_code = restate_code
