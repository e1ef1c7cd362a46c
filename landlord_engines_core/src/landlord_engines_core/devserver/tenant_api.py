"""Operations on tenants. A record is Landlord's row of a tenant; see `TenantRecord`."""

from collections.abc import Mapping
from http import HTTPStatus
from uuid import uuid4

import attrs

from landlord_engines_core.compute import ComputeRegistry
from landlord_engines_core.devserver import validation
from landlord_engines_core.devserver.records import (
    DELETE_AFTER_ARCHIVE,
    State,
    TenantRecord,
    Tenants,
)
from landlord_engines_core.devserver.validation import Declaration, Refusal
from landlord_engines_core.engine import Dispatcher
from landlord_engines_core.logs import Logger, error_fields

__all__ = ["TenantApi"]

_ENDING = (State.ARCHIVING, State.ARCHIVED, State.DELETING)


@attrs.frozen(kw_only=True)
class TenantApi:
    """Operations on tenants. Each method raises `Refusal` for an invalid request.

    Attributes:
        tenants: The records.
        compute: The compute engines to validate with.
        dispatcher: Kills the execution of a deleted tenant.
        logger: Receives a failed kill, which the caller does not see.
    """

    tenants: Tenants
    compute: ComputeRegistry
    dispatcher: Dispatcher
    logger: Logger

    def tenant(self, key: str) -> TenantRecord:
        """Find the tenant with this id or name."""
        if (record := self.tenants.find(key)) is None:
            raise Refusal(HTTPStatus.NOT_FOUND, "Tenant not found")
        return record

    def create(self, declaration: Declaration) -> TenantRecord:
        """Create a tenant."""
        name = validation.check_name(declaration.name)
        validation.check_config(self.compute, declaration)
        self._refuse_taken(name)
        return self.tenants.add(
            TenantRecord(
                id=str(uuid4()),
                name=name,
                desired_config=validation.require_config(declaration),
                labels=declaration.labels or {},
                annotations=declaration.annotations or {},
            )
        )

    def update(self, record: TenantRecord, declaration: Declaration) -> TenantRecord:
        """Store another configuration; only a ready tenant is updated."""
        if record.status is State.ARCHIVED:
            raise Refusal(HTTPStatus.CONFLICT, "Tenant is archived")
        validation.check_config(self.compute, declaration, record)
        name = record.name
        if declaration.name is not None:
            name = validation.check_name(declaration.name)
        if record.status is State.FAILED:
            raise Refusal(HTTPStatus.CONFLICT, "Cannot update tenant in failed state")
        if name != record.name:
            self._refuse_taken(name)
        changed = attrs.evolve(
            record,
            name=name,
            desired_config=validation.require_config(declaration),
            labels=_choose(declaration.labels, record.labels),
            annotations=_choose(declaration.annotations, record.annotations),
        )
        if record.status is State.READY:
            changed = _request(changed, State.UPDATING, "Update requested")
        return self.tenants.write(changed)

    def archive(self, record: TenantRecord) -> TenantRecord:
        """Request removal of a tenant's resources, and keep the tenant."""
        if record.status is State.ARCHIVED:
            return record
        if record.status not in (State.READY, State.FAILED):
            raise Refusal(HTTPStatus.CONFLICT, "Invalid state transition")
        return self.tenants.write(_request(record, State.ARCHIVING, "Archival requested"))

    async def delete(self, record: TenantRecord) -> TenantRecord:
        """Request removal of a tenant; a tenant that is not archived is archived first."""
        if record.execution_id and record.status not in _ENDING:
            await self._kill(record.execution_id)
            # Read again: the record may have changed while the kill was awaited.
            record = self.tenant(record.id)
        if record.status in (State.ARCHIVING, State.DELETING):
            return record
        return self.tenants.write(_deletion(record))

    def _refuse_taken(self, name: str) -> None:
        if self.tenants.find_name(name) is not None:
            raise Refusal(HTTPStatus.CONFLICT, "Tenant name already exists")

    async def _kill(self, execution_id: str) -> None:
        try:
            await self.dispatcher.kill(execution_id)
        except Exception as error:  # noqa: BLE001  # Landlord deletes anyway
            self.logger.warning("execution not killed", id=execution_id, **error_fields(error))


def _deletion(record: TenantRecord) -> TenantRecord:
    if record.status is State.ARCHIVED:
        return _request(record, State.DELETING, "Deletion requested")
    annotations = {**record.annotations, DELETE_AFTER_ARCHIVE: "true"}
    archival = _request(record, State.ARCHIVING, "Deletion requested")
    return attrs.evolve(archival, annotations=annotations)


def _choose(new: Mapping[str, str] | None, before: Mapping[str, str]) -> Mapping[str, str]:
    return before if new is None else new


def _request(record: TenantRecord, status: State, message: str) -> TenantRecord:
    cleared = record.without_execution()
    return attrs.evolve(cleared, status=status, status_message=message)
