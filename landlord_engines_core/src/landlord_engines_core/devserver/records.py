"""Landlord's tenants: their states, their records and a store in memory.

A record is Landlord's row of a tenant, and not the `Record` of a worker.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID

import attrs

__all__ = ["DELETE_AFTER_ARCHIVE", "State", "TenantRecord", "Tenants", "VersionConflict"]

DELETE_AFTER_ARCHIVE = "landlord/delete_after_archive"
"""Annotation of a tenant whose record is removed after it was archived."""


class State(StrEnum):
    """State of a tenant in Landlord 98ffef1, without ``planning``, which it never sets."""

    REQUESTED = "requested"
    PROVISIONING = "provisioning"
    READY = "ready"
    UPDATING = "updating"
    ARCHIVING = "archiving"
    ARCHIVED = "archived"
    DELETING = "deleting"
    FAILED = "failed"


class VersionConflict(Exception):
    """Another writer changed the record meanwhile; the words are Landlord's."""

    def __init__(self) -> None:
        super().__init__("tenant version conflict")


@attrs.frozen(kw_only=True)
class TenantRecord:
    """Landlord's row of a tenant, in one version.

    Attributes:
        execution_id: The current workflow execution, or empty.
        sub_state: The execution's sub-state, or empty.
        retry_count: The backend's count of retries; ``None`` without an execution.
        config_hash: The hash of the last dispatched configuration, or empty.
        annotations: The annotations, with `DELETE_AFTER_ARCHIVE` for a tenant to be deleted.
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
    def _set_updated_at(self) -> datetime:
        return self.created_at

    def without_execution(self) -> "TenantRecord":
        """Copy the record without its execution's fields."""
        return attrs.evolve(self, execution_id="", sub_state="", retry_count=None, config_hash="")


@attrs.define
class Tenants:
    """Store of records in memory."""

    _records: dict[str, TenantRecord] = attrs.field(factory=dict)

    def __iter__(self) -> Iterator[TenantRecord]:
        """Iterate over all records, the newest first."""
        # A dict keeps the order in which tenants were created.
        return reversed(self._records.values())

    def get(self, tenant_id: str) -> TenantRecord | None:
        """Find the record with this id."""
        return self._records.get(tenant_id)

    def find(self, key: str) -> TenantRecord | None:
        """Find the record with this id if the key is a UUID, or else with this name."""
        try:
            return self._records.get(str(UUID(key)))
        except ValueError:
            return self.find_name(key)

    def find_name(self, name: str) -> TenantRecord | None:
        """Find the record with exactly this name."""
        return next((record for record in self if record.name == name), None)

    def add(self, record: TenantRecord) -> TenantRecord:
        """Store a new record."""
        self._records[record.id] = record
        return record

    def write(self, changed: TenantRecord) -> TenantRecord:
        """Store a changed record as its next version.

        Raises:
            VersionConflict: The store has another version than the record was made from.
        """
        self._check_version(changed)
        record = attrs.evolve(changed, version=changed.version + 1, updated_at=datetime.now(UTC))
        self._records[record.id] = record
        return record

    def remove(self, record: TenantRecord) -> None:
        """Remove a record.

        Raises:
            VersionConflict: The store has another version.
        """
        self._check_version(record)
        del self._records[record.id]

    def _check_version(self, record: TenantRecord) -> None:
        stored = self._records.get(record.id)
        if stored is None or stored.version != record.version:
            raise VersionConflict
