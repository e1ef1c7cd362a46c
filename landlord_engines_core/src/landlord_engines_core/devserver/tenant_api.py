"""What each request makes of a tenant's record; nothing here waits but for a kill."""

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

_GOING = (State.ARCHIVING, State.ARCHIVED, State.DELETING)


@attrs.frozen(kw_only=True)
class TenantApi:
    """Takes the requests that change tenants; each method raises `Refusal`.

    Attributes:
        tenants: The records.
        compute: The compute engines that this Landlord knows.
        dispatcher: For the execution that a delete kills.
        logger: Where a kill that failed is told; nobody else is.
    """

    tenants: Tenants
    compute: ComputeRegistry
    dispatcher: Dispatcher
    logger: Logger

    def tenant(self, key: str) -> TenantRecord:
        """The tenant with this id or name."""
        if (record := self.tenants.find(key)) is None:
            raise Refusal(HTTPStatus.NOT_FOUND, "Tenant not found")
        return record

    def create(self, declaration: Declaration) -> TenantRecord:
        """Keep a new tenant."""
        name = validation.checked_name(declaration.name)
        validation.check_config(self.compute, declaration)
        self._refuse_taken(name)
        return self.tenants.add(
            TenantRecord(
                id=str(uuid4()),
                name=name,
                desired_config=validation.required_config(declaration),
                labels=declaration.labels or {},
                annotations=declaration.annotations or {},
            )
        )

    def update(self, record: TenantRecord, declaration: Declaration) -> TenantRecord:
        """Keep another configuration; only for a tenant that is ready it starts anything."""
        if record.status is State.ARCHIVED:
            raise Refusal(HTTPStatus.CONFLICT, "Tenant is archived")
        validation.check_config(self.compute, declaration, record)
        name = record.name
        if declaration.name is not None:
            name = validation.checked_name(declaration.name)
        if record.status is State.FAILED:
            raise Refusal(HTTPStatus.CONFLICT, "Cannot update tenant in failed state")
        if name != record.name:
            self._refuse_taken(name)
        changed = attrs.evolve(
            record,
            name=name,
            desired_config=validation.required_config(declaration),
            labels=_given(declaration.labels, record.labels),
            annotations=_given(declaration.annotations, record.annotations),
        )
        if record.status is State.READY:
            changed = _asked(changed, State.UPDATING, "Update requested")
        return self.tenants.keep(changed)

    def archive(self, record: TenantRecord) -> TenantRecord:
        """Have a tenant's resources removed and keep its record."""
        if record.status is State.ARCHIVED:
            return record
        if record.status not in (State.READY, State.FAILED):
            raise Refusal(HTTPStatus.CONFLICT, "Invalid state transition")
        return self.tenants.keep(_asked(record, State.ARCHIVING, "Archival requested"))

    async def delete(self, record: TenantRecord) -> TenantRecord:
        """Have a tenant removed entirely, through another archival if it is not archived yet."""
        if record.execution_id and record.status not in _GOING:
            await self._kill(record.execution_id)
            record = self.tenant(record.id)
        if record.status in (State.ARCHIVING, State.DELETING):
            return record
        return self.tenants.keep(_deletion(record))

    def _refuse_taken(self, name: str) -> None:
        if self.tenants.named(name) is not None:
            raise Refusal(HTTPStatus.CONFLICT, "Tenant name already exists")

    async def _kill(self, execution_id: str) -> None:
        try:
            await self.dispatcher.kill(execution_id)
        except Exception as error:  # noqa: BLE001  # Landlord deletes all the same
            self.logger.warning("execution not killed", id=execution_id, **error_fields(error))


def _deletion(record: TenantRecord) -> TenantRecord:
    if record.status is State.ARCHIVED:
        return _asked(record, State.DELETING, "Deletion requested")
    annotations = {**record.annotations, DELETE_AFTER_ARCHIVE: "true"}
    asked = _asked(record, State.ARCHIVING, "Deletion requested")
    return attrs.evolve(asked, annotations=annotations)


def _given(given: Mapping[str, str] | None, before: Mapping[str, str]) -> Mapping[str, str]:
    return before if given is None else given


def _asked(record: TenantRecord, status: State, message: str) -> TenantRecord:
    cleared = record.without_execution()
    return attrs.evolve(cleared, status=status, status_message=message)
