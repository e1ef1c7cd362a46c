"""Parsing a job from its body: pure, and the only module that knows the body's form.

Tenant and operation are read first. Landlord takes each ended job for a success, so a job with a
readable tenant must not end because of the other fields. `Job.unreadable` names the unreadable ones.
A step that needs one of them holds the job.
"""

from collections.abc import Mapping

import attrs

from landlord_engines_core import jsontext
from landlord_engines_core.errors import InvalidJob
from landlord_engines_core.models import Job, Operation

__all__ = ["MAX_READ", "parse_job"]

MAX_READ = 4 * 1024 * 1024
"""Maximum characters of a value that is read; each can take 20 bytes of memory or more."""

MAX_KEY = 512
"""Maximum characters of a tenant's key and name; Landlord's keys are UUIDs, its names have 255 bytes."""

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
"""Fields of Landlord's ProvisionRequest (Landlord at commit 98ffef1) that a job needs."""

_HINT = "send Landlord's ProvisionRequest as JSON"


@attrs.frozen
class _Unread:
    """Stand-in for a field's value that cannot be read or has a wrong type."""

    problem: str


_TOO_DEEP = _Unread(f"is nested more than {jsontext.MAX_DEPTH} levels deep")


def parse_job(raw: bytes) -> Job:
    """Parse a job from a body of any size and depth.

    Raises:
        InvalidJob: The body is not JSON, names no readable tenant, or names an unknown or unreadable
            operation. The message names the bad field, and never its value.
    """
    try:
        fields = _read_fields(jsontext.decode(raw))
    except jsontext.NotJson as error:
        raise InvalidJob(
            f"$ is not a JSON object, at character {error.position}",
            hint=_HINT,
        ) from None
    key, operation = _read_key(fields), _read_operation(fields)
    config = _read_config(fields.get("desired_config"))
    name = _read_name(fields.get("tenant_id"))
    engine = _read_text(fields.get("compute_provider"))
    # It may name the resource's location, so a delete needs it too.
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
            f"$.{field} {value.problem}"
            for field, value in needed.items()
            if isinstance(value, _Unread)
        ),
    )


def _read_fields(text: str) -> Mapping[str, object]:
    """Read at least the fields that a job needs; of a repeated field, the last occurrence.

    Raises:
        NotJson: The text is no JSON object.
    """
    if len(text) <= MAX_READ:
        try:
            document = jsontext.loads(text)
        except (jsontext.BadNumber, RecursionError):
            pass  # reading the members one by one shows which field is bad
        else:
            if isinstance(document, dict) and all(_fold_key(key) == key for key in document):
                return document
    members: dict[str, jsontext.Member] = {}
    for member in jsontext.members(text):
        if (field := _fold_key(member.key)) in _FIELDS:
            members[field] = member
    return {field: _read_member(member) for field, member in members.items()}


def _fold_key(key: str) -> str:
    """Return the field that Go reads a key as; Go ignores upper and lower case."""
    # Go folds case by Unicode: U+017F, the long s, equals s.
    folded = key.lower().replace("\u017f", "s")
    return folded if folded in _FIELDS else key


def _read_member(member: jsontext.Member) -> object:
    if (size := len(member.text)) > MAX_READ:
        return _Unread(f"has {size} characters, at most {MAX_READ} are read")
    try:
        return jsontext.loads(member.text)
    except jsontext.BadNumber:
        return _Unread("contains NaN, Infinity or a number that a float64 cannot represent")
    except RecursionError:
        return _TOO_DEEP


def _read_config(value: object) -> Mapping[str, object] | _Unread:
    if isinstance(value, dict):
        return _TOO_DEEP if jsontext.is_deep(value) else value
    if value is None:
        return {}
    return value if isinstance(value, _Unread) else _Unread("must be an object")


def _read_text(value: object) -> str | _Unread:
    if isinstance(value, str | _Unread):
        return value
    return "" if value is None else _Unread("must be a string")


def _read_name(value: object) -> str | _Unread:
    name = _read_text(value)
    if isinstance(name, str) and len(name) > MAX_KEY:
        return _Unread(f"is longer than {MAX_KEY} characters")
    return name


def _read_key(fields: Mapping[str, object]) -> str:
    """Read the tenant's key: the UUID, or else the name.

    Raises:
        InvalidJob: A field is unreadable, or neither names a tenant.
    """
    # An unreadable UUID does not fall back to the name, which could be another tenant's.
    for field in ("tenant_uuid", "tenant_id"):
        key = _read_text(fields.get(field))
        if isinstance(key, _Unread):
            raise InvalidJob(f"$.{field} {key.problem}")
        if len(key) > MAX_KEY:
            raise InvalidJob(f"$.{field} is longer than {MAX_KEY} characters")
        if key:
            return key
    raise InvalidJob(
        "the job names no tenant: $.tenant_uuid and $.tenant_id are missing or empty",
        hint="send the tenant's UUID as tenant_uuid",
    )


def _read_operation(fields: Mapping[str, object]) -> Operation:
    word = _read_text(fields.get("operation"))
    if isinstance(word, _Unread):
        raise InvalidJob(f"$.operation {word.problem}")
    try:
        return _OPERATIONS[word]
    except KeyError:
        known = ", ".join(filter(None, _OPERATIONS))
        raise InvalidJob("$.operation is unknown", hint=f"use one of {known}") from None
