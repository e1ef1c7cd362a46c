"""List of tenants, with filters and pages."""

import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

import attrs

from landlord_engines_core.devserver.gojson import Struct
from landlord_engines_core.devserver.records import State, TenantRecord, Tenants
from landlord_engines_core.devserver.validation import Refusal
from landlord_engines_core.devserver.wire import tenant_response

__all__ = ["Listing"]

_WHOLE = re.compile(r"[+-]?[0-9]+")
_BOOLS = {
    **dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True),
    **dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False),
}
"""Texts that Go reads as booleans."""

_SUB_STATES = frozenset({"running", "waiting", "backing-off", "error", "succeeded", "failed"})


@attrs.frozen(kw_only=True)
class Listing:
    """Query of a list.

    Attributes:
        limit: The size of a page.
        offset: The number of tenants before the page.
        include_deleted: Whether to list archived tenants, which Landlord calls deleted.
        sub_states: The sub-states to list; empty for all.
        has_error: Whether to list only tenants with, or without, a workflow error. No tenant has one,
            since Landlord never fills that field.
        min_retries: The least number of retries.
    """

    limit: int = 50
    offset: int = 0
    include_deleted: bool = False
    sub_states: frozenset[str] = frozenset()
    has_error: bool | None = None
    min_retries: int = 0

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> "Listing":
        """Read a query's parameters.

        Raises:
            Refusal: A parameter is invalid.
        """
        fields: dict[str, Any] = {}
        for parameter, (field, read, expected) in _PARAMETERS.items():
            if text := query.get(parameter, ""):
                try:
                    fields[field] = read(text)
                except (KeyError, ValueError):
                    raise Refusal(
                        HTTPStatus.BAD_REQUEST,
                        f"Invalid {parameter} parameter",
                        f"{parameter} must be {expected}",
                    ) from None
        return cls(**fields)

    def page(self, tenants: Tenants) -> Struct:
        """Make the answer, newest tenant first; its total counts all pages."""
        matching = [record for record in tenants if self._matches(record)]
        page = matching[self.offset : self.offset + self.limit]
        return Struct(
            tenants=[tenant_response(record) for record in page],
            total=len(matching),
            limit=self.limit,
            offset=self.offset,
        )

    def _matches(self, record: TenantRecord) -> bool:
        return (
            (self.include_deleted or record.status is not State.ARCHIVED)
            and (not self.sub_states or record.sub_state in self.sub_states)
            and self.has_error is not True
            and (record.retry_count or 0) >= self.min_retries
        )


def _read_whole(least: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not _WHOLE.fullmatch(text) or int(text) < least:
            raise ValueError
        return int(text)

    return read


def _sub_states(text: str) -> frozenset[str]:
    words = frozenset(word.strip() for word in text.split(","))
    if not words <= _SUB_STATES:
        raise ValueError
    return words


_PARAMETERS: Mapping[str, tuple[str, Callable[[str], object], str]] = {
    "limit": ("limit", _read_whole(1), "a positive integer"),
    "offset": ("offset", _read_whole(0), "a non-negative integer"),
    "include_deleted": ("include_deleted", _BOOLS.__getitem__, "a boolean"),
    "workflow_sub_state": ("sub_states", _sub_states, "a list of workflow sub-states"),
    "has_workflow_error": ("has_error", _BOOLS.__getitem__, "a boolean"),
    "min_retry_count": ("min_retries", _read_whole(0), "a non-negative integer"),
}
