"""Documents that Landlord writes: a tenant for its API, and a job for the workflow backend."""

from datetime import datetime

from landlord_engines_core.devserver.gojson import Struct, config_hash, encode
from landlord_engines_core.devserver.records import State, TenantRecord

__all__ = ["OPERATIONS", "provision_request", "rfc3339", "tenant_response"]

OPERATIONS = {
    State.REQUESTED: "provision",
    State.PROVISIONING: "provision",
    State.UPDATING: "update",
    State.ARCHIVING: "delete",
    State.DELETING: "delete",
}
"""Operation of a job by the tenant's state; other states have no job."""


def provision_request(record: TenantRecord) -> bytes:
    """Write the body of a dispatch."""
    # As in Landlord, only the configuration names the compute engine. A label or the previous
    # configuration does not.
    provider = record.desired_config.get("compute_provider")
    digest = config_hash(record.desired_config)
    return encode(
        Struct(
            tenant_id=record.name,
            tenant_uuid=record.id,
            operation=OPERATIONS[record.status],
            **_present(
                desired_config=record.desired_config,
                compute_provider=provider if isinstance(provider, str) else "",
                metadata={"config_hash": digest} if digest else {},
            ),
        )
    )


def tenant_response(record: TenantRecord) -> Struct:
    """Write a tenant as the API shows it, without empty fields."""
    retries = record.retry_count
    return Struct(
        id=record.id,
        name=record.name,
        status=str(record.status),
        **_present(
            status_message=record.status_message,
            desired_config=record.desired_config,
            compute_config=record.desired_config,
            workflow_execution_id=record.execution_id,
            workflow_sub_state=record.sub_state,
        ),
        **({} if retries is None else {"workflow_retry_count": retries}),
        created_at=rfc3339(record.created_at),
        updated_at=rfc3339(record.updated_at),
        version=record.version,
        **_present(labels=record.labels, annotations=record.annotations),
    )


def rfc3339(moment: datetime) -> str:
    """Format a time in UTC as Go does, without trailing zeros."""
    fraction = f".{moment.microsecond:06}".rstrip("0").rstrip(".")
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"


def _present(**fields: object) -> dict[str, object]:
    return {key: value for key, value in fields.items() if value}
