"""Dates in Restate's rows, by which jobs are ordered."""

from datetime import UTC, datetime

from landlord_engines_restate.admin.errors import AdminUnavailable

__all__ = ["read_date"]


def read_date(text: str) -> datetime:
    """Read a date; without a zone it is UTC, so that all dates can be compared.

    Raises:
        AdminUnavailable: The text is no date.
    """
    # Restate leaves out a fraction of zero, so that its dates cannot be compared as text.
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise AdminUnavailable(
            f"Restate shows {text[:40]!r} where a date is expected",
            hint="check that workflow.restate.admin_endpoint leads to restate-server 1.7 or later",
        ) from error
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
