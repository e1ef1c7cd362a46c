"""Landlord's tenants: their states, their records, and where the records are kept."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID

import attrs

__all__ = ["DELETE_AFTER_ARCHIVE", "State", "TenantRecord", "Tenants", "VersionConflict"]

DELETE_AFTER_ARCHIVE = "landlord/delete_after_archive"
"""The annotation with which an archived tenant's record goes too."""


class State(StrEnum):
    """The states that Landlord 98ffef1 sets; it also knows ``planning``, and never sets it."""

    REQUESTED = "requested"
    PROVISIONING = "provisioning"
    READY = "ready"
    UPDATING = "updating"
    ARCHIVING = "archiving"
    ARCHIVED = "archived"
    DELETING = "deleting"
    FAILED = "failed"


class VersionConflict(Exception):
    """The record was changed by somebody else meanwhile; the words are Landlord's."""

    def __init__(self) -> None:
        super().__init__("tenant version conflict")


@attrs.frozen(kw_only=True)
class TenantRecord:
    """One version of a tenant's record.

    Attributes:
        execution_id: The current workflow execution, or empty.
        sub_state: The execution's finer state, or empty.
        retry_count: What the backend reports; ``None`` where there is no execution.
        config_hash: The hash of the configuration that was dispatched last, or empty.
        annotations: With `DELETE_AFTER_ARCHIVE` where the tenant is to go entirely.
    """

    id: str
    name: str
    status: State = State.REQUESTED
    status_message: str = ""
    desired_config: Mapping[str, object] = attrs.field(factory=dict, repr=False)
    labels: Mapping[str, str] = attrs.field(factory=dict)
    annotations: Mapping[str, str] = attrs.field(factory=dict)
    execution_id: str = ""
    sub_state: str = ""
    retry_count: int | None = None
    config_hash: str = ""
    created_at: datetime = attrs.field(factory=lambda: datetime.now(UTC))
    updated_at: datetime = attrs.field()
    version: int = 1

    @updated_at.default
    def _at_first(self) -> datetime:
        return self.created_at

    def without_execution(self) -> "TenantRecord":
        """The record with its execution's fields cleared."""
        return attrs.evolve(self, execution_id="", sub_state="", retry_count=None, config_hash="")


@attrs.define
class Tenants:
    """The records by id, as they stand in memory."""

    _records: dict[str, TenantRecord] = attrs.field(factory=dict)

    def __iter__(self) -> Iterator[TenantRecord]:
        """The newest first."""
        return reversed(self._records.values())

    def get(self, tenant_id: str) -> TenantRecord | None:
        """The record with this id."""
        return self._records.get(tenant_id)

    def find(self, key: str) -> TenantRecord | None:
        """The record with this id where the key reads as a UUID, else with exactly this name."""
        try:
            return self._records.get(str(UUID(key)))
        except ValueError:
            return self.named(key)

    def named(self, name: str) -> TenantRecord | None:
        """The record with exactly this name."""
        return next((one for one in self if one.name == name), None)

    def add(self, record: TenantRecord) -> TenantRecord:
        """Keep a new record."""
        self._records[record.id] = record
        return record

    def keep(self, changed: TenantRecord) -> TenantRecord:
        """Keep a changed record as the next version of the one that it was made from.

        Raises:
            VersionConflict: That one is not what is kept any more.
        """
        self._expect(changed)
        kept = attrs.evolve(changed, version=changed.version + 1, updated_at=datetime.now(UTC))
        self._records[kept.id] = kept
        return kept

    def remove(self, seen: TenantRecord) -> None:
        """Drop a record.

        Raises:
            VersionConflict: What was seen is not what is kept any more.
        """
        self._expect(seen)
        del self._records[seen.id]

    def _expect(self, seen: TenantRecord) -> None:
        kept = self._records.get(seen.id)
        if kept is None or kept.version != seen.version:
            raise VersionConflict
