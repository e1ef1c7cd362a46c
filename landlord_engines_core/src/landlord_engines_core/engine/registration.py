"""The registration: whether the backend sends jobs to this worker."""

from enum import StrEnum

import attrs

__all__ = ["Registration", "RegistrationState"]


class RegistrationState(StrEnum):
    """State of this worker's registration at its backend."""

    REGISTERED = "registered"
    UNKNOWN = "unknown"
    """The backend does not answer."""
    UNREGISTERED = "unregistered"
    """The backend does not know this worker yet, or not any more."""
    NOT_LATEST = "not-latest"
    """The backend sends new jobs to another deployment, or takes this one for another version."""
    OUTDATED = "outdated"
    """Another version of the worker answered the backend's discovery.

    Several workers share one address, and some of them are still old. The host registers again until
    the right version answers.
    """
    REFUSED = "refused"
    """The backend keeps another registration than this worker sent; a retry would not help."""


@attrs.frozen(kw_only=True)
class Registration:
    """Registration of this worker at its backend.

    Attributes:
        state: Whether the backend sends jobs to this worker.
        detail: One sentence for a person: the address, the version, and what was or would be done.
    """

    state: RegistrationState
    detail: str = ""
