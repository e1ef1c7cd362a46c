"""The dates that Restate shows, by which jobs are ordered."""

from datetime import UTC, datetime

from landlord_engines_restate.admin import AdminUnavailable

__all__ = ["read_date"]


def read_date(text: str) -> datetime:
    """Read a date; one without a zone is UTC, so that all can be compared.

    Restate leaves the fraction out where it is zero.

    Raises:
        AdminUnavailable: It is none.
    """
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise AdminUnavailable(
            f"Restate shows {text[:40]!r} where a date belongs",
            hint="check that workflow.restate.admin_endpoint leads to restate-server 1.7 or later",
        ) from error
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
