"""The values that cross a boundary: jobs, records, transitions, and what Landlord sends and reads.

All are frozen. What is written to a backend (`Target`, `Applied`, `Confirmed`, `Record` and what
they hold) is read back by later versions, so its fields only ever grow and carry a default, and
words out of a fixed set are typed as plain strings there.
"""

import hashlib
import json
from collections.abc import Mapping
from enum import StrEnum

import attrs

__all__ = [
    "HISTORY",
    "CompletedJob",
    "ExecutionState",
    "ExecutionStatus",
    "FollowUp",
    "Job",
    "JobStart",
    "Operation",
    "Outcome",
    "Output",
    "Placement",
    "Record",
    "Resynced",
    "Tenant",
    "Transition",
    "config_hash",
    "key_hashes",
    "merge",
]

HISTORY = 50
"""How many transitions a record keeps."""


# Made once: json.dumps makes its own each time that it is given an option.
_encoder = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


class Operation(StrEnum):
    """What a job asks for; Landlord sends provision, update and delete, and nobody a resync."""

    PROVISION = "provision"
    UPDATE = "update"
    DELETE = "delete"
    PLAN = "plan"
    RESYNC = "resync"
    """What follows on a job by itself: see `landlord_engines_core.tenants.resync`."""


class Outcome(StrEnum):
    """What a job did to its tenant."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    DELETED = "deleted"
    ABSENT = "absent"
    """A delete found nothing to delete."""
    ROLLED_BACK = "rolled-back"
    """An update did not become healthy; the former resource serves again."""
    REFUSED = "refused"
    """The configuration or an engine did not let it: what the resync found to repair, or a job that
    ``worker.on_permanent_failure`` ended."""


class ExecutionState(StrEnum):
    """The states of Landlord's ExecutionStatus that a worker can answer with."""

    SUCCEEDED = "succeeded"
    CANCELLED = "cancelled"


@attrs.frozen(kw_only=True)
class Job:
    """One requested operation on one tenant, as understood from the bytes that were sent.

    Attributes:
        tenant: The stable key: Landlord's UUID, or the name where no UUID was sent.
        name: The tenant's name; it can change and may hold any characters.
        desired_config: The tenant's configuration; may hold secrets.
        compute_provider: The compute engine that the job itself names, or empty.
        is_uuid: Whether the key is Landlord's UUID, which no other tenant ever gets.
        unreadable: What of the body could not be read, each field with the reason and without
            values; the field is empty then. Empty where all could be read.
    """

    tenant: str
    name: str
    operation: Operation
    desired_config: Mapping[str, object] = attrs.field(factory=dict, repr=False)
    compute_provider: str = ""
    is_uuid: bool = False
    unreadable: str = ""


@attrs.frozen
class Placement:
    """Where a tenant has, or may have, a resource.

    Attributes:
        engine: The compute engine.
        location: Where on its target, for example a cluster; empty where there is only one.
        resource_ids: What the target calls the resource; not part of a placement's identity.
    """

    engine: str
    location: str = ""
    resource_ids: Mapping[str, str] = attrs.field(factory=dict, eq=False, hash=False)

    def bare(self) -> "Placement":
        """The same without its resource ids."""
        return Placement(self.engine, self.location)


@attrs.frozen(kw_only=True)
class JobStart:
    """What is written down before a job's first act.

    Attributes:
        started_at: RFC 3339 text, as are all times in a record.
        placement: Where the job acts; empty for a delete.
        candidates: Where a delete looks of whose tenant nothing is known.
        is_uuid: Whether the tenant's key is Landlord's UUID, which no other tenant ever gets.
    """

    operation: str
    started_at: str
    placement: Placement | None = None
    candidates: tuple[Placement, ...] = ()
    is_uuid: bool = False


@attrs.frozen(kw_only=True)
class Transition:
    """What one job did. Without ``ended_at`` the job is running, or was killed.

    Attributes:
        placement: Where the tenant's resource is afterwards.
        removed: Where the job made sure that nothing is left.
        changes: What an update changed, in words and names of keys, never values.
        detail: One sentence for a person, or empty.
    """

    execution_id: str
    operation: str
    started_at: str
    ended_at: str | None = None
    outcome: str = ""
    config_hash: str = ""
    changes: tuple[str, ...] = ()
    placement: Placement | None = None
    removed: tuple[Placement, ...] = ()
    detail: str = ""

    @property
    def is_notable(self) -> bool:
        """Whether it belongs into the history: the resync that found nothing to repair does not."""
        nothing = self.outcome in (Outcome.UNCHANGED, Outcome.ABSENT)
        return self.operation != Operation.RESYNC or not nothing


@attrs.frozen(kw_only=True)
class CompletedJob:
    """A job that had the tenant's lock, as far as the resync has to know it.

    Attributes:
        tenant: The tenant's key.
        removed: Where the tenant had a resource when the job began, or the job made sure that nothing
            is left.
        preempted: Whether the job before it did not end by itself, so that an act of that one may
            land later.
        overrode_delete: Whether a delete gave way to it.
        last: Whether no act of the tenant can be alive any more, so that this is the last look.
        put_off: How often the resync was put off since the job still ran.
    """

    tenant: str
    execution_id: str
    operation: str
    removed: tuple[Placement, ...] = ()
    preempted: bool = False
    overrode_delete: bool = False
    last: bool = False
    put_off: int = 0


@attrs.frozen(kw_only=True)
class Record:
    """What is durably known of a tenant.

    Attributes:
        deleted: Whether a delete made sure that nothing is left, and nothing was begun since.
    """

    placements: tuple[Placement, ...] = ()
    transitions: tuple[Transition, ...] = ()
    deleted: bool = False

    def has_ended(self, execution_id: str) -> bool:
        """Whether the end of this job has been written down."""
        return any(t.execution_id == execution_id and t.ended_at for t in self.transitions)

    def with_placement(self, placement: Placement | None) -> "Record":
        """The record with one more placement in it, where it is not already."""
        if placement is None or placement in self.placements:
            return self
        return attrs.evolve(self, placements=(*self.placements, placement))

    def with_start(self, execution_id: str, note: JobStart) -> "Record":
        """The record with this job's start and its placement in it; the same if they are already."""
        placements = self.with_placement(note.placement).placements or note.candidates
        transitions = self.transitions
        if all(t.execution_id != execution_id for t in transitions):
            start = Transition(
                execution_id=execution_id, operation=note.operation, started_at=note.started_at
            )
            transitions = (*transitions, start)[-HISTORY:]
        deleted = self.deleted and note.operation == Operation.DELETE
        return Record(placements=placements, transitions=transitions, deleted=deleted)

    def with_end(self, transition: Transition) -> "Record":
        """The record with this job's end in it; the same if it is already."""
        if self.has_ended(transition.execution_id):
            return self
        placements = tuple(p for p in self.placements if p not in transition.removed)
        if transition.placement is not None:
            placements = (
                *(p for p in placements if p != transition.placement),
                transition.placement,
            )
        deleted = self.deleted or transition.operation == Operation.DELETE
        record = attrs.evolve(self, placements=placements, deleted=deleted and not placements)
        if not transition.is_notable:
            return record
        others = tuple(t for t in self.transitions if t.execution_id != transition.execution_id)
        return attrs.evolve(record, transitions=(*others, transition)[-HISTORY:])


@attrs.frozen(kw_only=True)
class Output:
    """The ``output`` of an execution's answer, in the form of Landlord's own worker.

    ``transition`` is ours: it lets a backend write down an end that its job could not.
    """

    tenant_id: str
    provider_type: str = ""
    status: str = ""
    resource_ids: Mapping[str, str] = attrs.field(factory=dict)
    changes: tuple[str, ...] = ()
    message: str = ""
    transition: Transition | None = None


@attrs.frozen(kw_only=True)
class ExecutionStatus:
    """A job's answer, in the form of Landlord's ExecutionStatus (landlord 98ffef1)."""

    execution_id: str
    workflow_id: str = ""
    provider_type: str
    state: ExecutionState
    start_time: str
    stop_time: str = ""
    input: None = None
    output: Output


@attrs.frozen(kw_only=True)
class FollowUp:
    """Another resync that is to follow, ``after`` so many seconds."""

    after: float
    ended: CompletedJob


@attrs.frozen
class Resynced:
    """What came of a resync: an answer in the form of a job's, and what is to follow on it."""

    answer: ExecutionStatus
    follow_up: FollowUp | None = None


@attrs.frozen(kw_only=True)
class Tenant:
    """A tenant as Landlord's API shows it; unknown keys are ignored."""

    id: str
    name: str = ""
    status: str = ""
    desired_config: Mapping[str, object] = attrs.field(factory=dict, repr=False)
    labels: Mapping[str, str] = attrs.field(factory=dict)
    annotations: Mapping[str, str] = attrs.field(factory=dict)


def config_hash(config: object) -> str:
    """Hash a configuration, whatever the order of its keys and the spaces between them.

    Returns:
        SHA-256 in hex of the sorted, compact JSON text.
    """
    return hashlib.sha256(_encoder.encode(config).encode()).hexdigest()


def key_hashes(config: Mapping[str, object]) -> dict[str, str]:
    """Hash each top-level value by itself, so that a change can be named without its value."""
    return {key: config_hash(value)[:16] for key, value in config.items()}


def merge(below: Mapping[str, object], above: Mapping[str, object]) -> dict[str, object]:
    """Lay one configuration over another: maps merge, everything else replaces."""
    merged = dict(below)
    for key, value in above.items():
        lower = merged.get(key)
        if isinstance(lower, Mapping) and isinstance(value, Mapping):
            merged[key] = merge(lower, value)
        else:
            merged[key] = value
    return merged
