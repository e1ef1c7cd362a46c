"""Parsing a job from its body: pure, and the only module that knows the body's form.

Tenant and operation are read first. Landlord reads every end as a success, so that a job with a
readable tenant must not end because of the other fields. `Job.unreadable` names the unreadable ones,
and a step that needs them holds the job.
"""

from collections.abc import Mapping

import attrs

from landlord_engines_core import jsontext
from landlord_engines_core.errors import InvalidJob
from landlord_engines_core.models import Job, Operation

__all__ = ["MAX_READ", "parse_job"]

MAX_READ = 4 * 1024 * 1024
"""Characters of the largest value that is read; each can take twenty bytes of memory and more."""

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

_FIELDS = frozenset(("tenant_id", "tenant_uuid", "operation", "desired_config", "compute_provider"))
"""Fields of Landlord's ProvisionRequest (landlord 98ffef1) that a job needs."""

_HINT = "send Landlord's ProvisionRequest as JSON"


@attrs.frozen
class _Unread:
    """Stand-in for a field's value that cannot be read or has a wrong type."""

    why: str


_TOO_DEEP = _Unread(f"is nested more than {jsontext.MAX_DEPTH} levels deep")


def parse_job(raw: bytes) -> Job:
    """Parse a job from a body of any size and depth.

    Raises:
        InvalidJob: The body is not JSON, or names no tenant or no known operation. The message names
            the bad field, and never its value.
    """
    try:
        fields = _fields(jsontext.decode(raw))
    except jsontext.NotJson as error:
        raise InvalidJob(
            f"$ is not a JSON object, at character {error.position}",
            hint=_HINT,
        ) from None
    key, operation = _key(fields), _operation(fields)
    config = _config(fields.get("desired_config"))
    name = _name(fields.get("tenant_id"))
    engine = _text(fields.get("compute_provider"))
    needed: dict[str, object] = {"desired_config": config}
    if operation is not Operation.DELETE:
        needed |= {"tenant_id": name, "compute_provider": engine}
    return Job(
        tenant=key,
        name="" if isinstance(name, _Unread) else name,
        operation=operation,
        is_uuid=bool(fields.get("tenant_uuid")),
        desired_config={} if isinstance(config, _Unread) else config,
        compute_provider="" if isinstance(engine, _Unread) else engine,
        unreadable="; ".join(
            f"$.{field} {value.why}"
            for field, value in needed.items()
            if isinstance(value, _Unread)
        ),
    )


def _fields(text: str) -> Mapping[str, object]:
    """Read the fields that a job needs; the last one where a field stands twice.

    Raises:
        NotJson: The text is no JSON object.
    """
    if len(text) <= MAX_READ:
        try:
            document = jsontext.loads(text)
        except (jsontext.BadNumber, RecursionError):
            pass  # reading the members one by one shows which field is bad
        else:
            if isinstance(document, dict) and all(_field(key) == key for key in document):
                return document
    members: dict[str, jsontext.Member] = {}
    for member in jsontext.members(text):
        if (field := _field(member.key)) in _FIELDS:
            members[field] = member
    return {field: _read(member) for field, member in members.items()}


def _field(key: str) -> str:
    """Name the field that Go reads a key as; Go ignores upper and lower case."""
    folded = key.lower().replace("\u017f", "s")
    return folded if folded in _FIELDS else key


def _read(member: jsontext.Member) -> object:
    if (size := len(member.text)) > MAX_READ:
        return _Unread(f"has {size} characters, at most {MAX_READ} are read")
    try:
        return jsontext.loads(member.text)
    except jsontext.BadNumber:
        return _Unread("holds NaN, Infinity or a number that a float64 cannot hold")
    except RecursionError:
        return _TOO_DEEP


def _config(value: object) -> Mapping[str, object] | _Unread:
    if isinstance(value, dict):
        return _TOO_DEEP if jsontext.is_deep(value) else value
    if value is None:
        return {}
    return value if isinstance(value, _Unread) else _Unread("must be an object")


def _text(value: object) -> str | _Unread:
    if isinstance(value, str | _Unread):
        return value
    return "" if value is None else _Unread("must be a string")


def _name(value: object) -> str | _Unread:
    name = _text(value)
    if isinstance(name, str) and len(name) > MAX_KEY:
        return _Unread(f"is longer than {MAX_KEY} characters")
    return name


def _key(fields: Mapping[str, object]) -> str:
    """Read the tenant's key: the UUID, or else the name.

    Raises:
        InvalidJob: A field is unreadable, or neither names a tenant.
    """
    # An unreadable UUID does not fall back to the name, which could be another tenant's.
    for field in ("tenant_uuid", "tenant_id"):
        key = _text(fields.get(field))
        if isinstance(key, _Unread):
            raise InvalidJob(f"$.{field} {key.why}")
        if len(key) > MAX_KEY:
            raise InvalidJob(f"$.{field} is longer than {MAX_KEY} characters")
        if key:
            return key
    raise InvalidJob(
        "the job names no tenant: $.tenant_uuid and $.tenant_id are missing or empty",
        hint="send the tenant's UUID as tenant_uuid",
    )


def _operation(fields: Mapping[str, object]) -> Operation:
    word = _text(fields.get("operation"))
    if isinstance(word, _Unread):
        raise InvalidJob(f"$.operation {word.why}")
    try:
        return _OPERATIONS[word]
    except KeyError:
        known = ", ".join(filter(None, _OPERATIONS))
        raise InvalidJob("$.operation is unknown", hint=f"use one of {known}") from None
