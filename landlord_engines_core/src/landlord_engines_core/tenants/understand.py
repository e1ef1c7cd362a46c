"""From the bytes that were sent to a job; pure, and the only place that knows the body's form."""

from collections.abc import Mapping

import attrs

from landlord_engines_core import codec
from landlord_engines_core.errors import InvalidJob
from landlord_engines_core.models import Job, Operation

__all__ = ["MAX_BODY", "understand"]

MAX_BODY = 4 * 1024 * 1024
"""Bytes of a body that is read at all; read, each can take more than twenty in memory."""

MAX_KEY = 512
"""Characters of a tenant's key and name; Landlord's keys are UUIDs, its names have 255 bytes."""

_OPERATIONS = {
    "": Operation.PROVISION,
    "provision": Operation.PROVISION,
    "create": Operation.PROVISION,
    "apply": Operation.PROVISION,
    "update": Operation.UPDATE,
    "delete": Operation.DELETE,
    "destroy": Operation.DELETE,
    "plan": Operation.PLAN,
}


@attrs.frozen(kw_only=True)
class _Body:
    """Landlord's ProvisionRequest (landlord 98ffef1); it leaves out what is empty."""

    tenant_id: str | None = None
    tenant_uuid: str | None = None
    operation: str | None = None
    desired_config: Mapping[str, object] | None = attrs.field(default=None, repr=False)
    compute_provider: str | None = None
    metadata: Mapping[str, str] | None = None


def understand(raw: bytes) -> Job:
    """Read a job.

    Raises:
        InvalidJob: With status 400, naming each bad field and never its value.
    """
    try:
        body = codec.loads(raw, _Body)
    except codec.BadDocument as error:
        raise InvalidJob(
            f"the job's body is not understood: {error}",
            hint="send Landlord's ProvisionRequest as JSON",
        ) from None
    return Job(
        tenant=_key(body),
        name=body.tenant_id or "",
        operation=_operation(body.operation or ""),
        desired_config=body.desired_config or {},
        compute_provider=body.compute_provider or "",
        is_uuid=bool(body.tenant_uuid),
    )


def _key(body: _Body) -> str:
    key = body.tenant_uuid or body.tenant_id
    if not key:
        raise InvalidJob(
            "the job names no tenant: $.tenant_uuid and $.tenant_id are missing or empty",
            hint="send the tenant's UUID as tenant_uuid",
        )
    field = "$.tenant_uuid" if body.tenant_uuid else "$.tenant_id"
    if len(key) > MAX_KEY:
        raise InvalidJob(f"{field} is longer than {MAX_KEY} characters")
    if len(body.tenant_id or "") > MAX_KEY:
        raise InvalidJob(f"$.tenant_id is longer than {MAX_KEY} characters")
    try:
        f"{key}{body.tenant_id or ''}".encode()
    except UnicodeEncodeError:
        raise InvalidJob(f"{field} or $.tenant_id is not valid Unicode") from None
    return key


def _operation(word: str) -> Operation:
    try:
        return _OPERATIONS[word]
    except KeyError:
        known = ", ".join(filter(None, _OPERATIONS))
        raise InvalidJob(f"$.operation is unknown; known are {known}") from None
