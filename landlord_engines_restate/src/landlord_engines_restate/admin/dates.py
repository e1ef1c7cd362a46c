"""Dates in Restate's rows, which determine the order of jobs."""

from datetime import UTC, datetime

from landlord_engines_restate.admin.errors import AdminUnavailable

__all__ = ["read_date"]


def read_date(text: str) -> datetime:
    """Read a date. A date without a time zone is read as UTC, so that all dates can be compared.

    Raises:
        AdminUnavailable: The text is not a date.
    """
    # Restate omits a fraction of zero, so its dates cannot be compared as text.
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise AdminUnavailable(
            f"Restate shows {text[:40]!r} instead of a date",
            hint="check that workflow.restate.admin_endpoint leads to restate-server 1.7 or later",
        ) from error
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
