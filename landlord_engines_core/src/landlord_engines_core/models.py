"""Values that cross a boundary: jobs, records, transitions, and Landlord's documents.

All are frozen. Later versions read the values that a backend keeps: `Record`, the values of steps in
`landlord_engines_core.tenants.results`, and the classes that they hold. So their fields are only added,
each with a default. Words out of a fixed set are plain strings there, since a later version may add
some.
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
"""Transitions that a record keeps."""


# One encoder for all calls: with options, json.dumps creates one in each call.
_encoder = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


class Operation(StrEnum):
    """Operation of a job. Landlord sends provision, update and delete."""

    PROVISION = "provision"
    UPDATE = "update"
    DELETE = "delete"
    PLAN = "plan"
    RESYNC = "resync"
    """Nobody sends it. It follows on a job: see `landlord_engines_core.tenants.resync`."""


class Outcome(StrEnum):
    """Outcome of a job for its tenant."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    DELETED = "deleted"
    ABSENT = "absent"
    """A delete met no resource."""
    ROLLED_BACK = "rolled-back"
    """An update did not become healthy, and the former resource serves again."""
    REFUSED = "refused"
    """The configuration or an engine refused a repair, or a job ended by
    ``worker.on_permanent_failure``."""


class ExecutionState(StrEnum):
    """State in Landlord's ExecutionStatus, as far as a worker answers with it."""

    SUCCEEDED = "succeeded"
    CANCELLED = "cancelled"


@attrs.frozen(kw_only=True)
class Job:
    """One requested operation on one tenant, parsed from a body.

    Attributes:
        tenant: The tenant's key: Landlord's UUID, or the name where the body has no UUID.
        name: The tenant's name, which can change and may hold any characters.
        desired_config: The tenant's configuration, which may hold secrets.
        compute_provider: The compute engine that the job itself names, or empty.
        is_uuid: Whether the key is Landlord's UUID, which no other tenant ever gets.
        unreadable: The body's unreadable fields, each with the reason and without its value. Such a
            field is empty in this object.
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
        resource_ids: The target's ids of the resource; not part of a placement's identity.
    """

    engine: str
    location: str = ""
    resource_ids: Mapping[str, str] = attrs.field(factory=dict, eq=False, hash=False)

    def bare(self) -> "Placement":
        """Copy the placement without its resource ids."""
        return Placement(self.engine, self.location)


@attrs.frozen(kw_only=True)
class JobStart:
    """Start of a job, recorded before the job's first change to a target.

    Attributes:
        started_at: RFC 3339 text, as are all times in a record.
        placement: Where the job acts; ``None`` for a delete.
        candidates: Where a delete looks for a resource of a tenant without a record.
        is_uuid: Whether the tenant's key is Landlord's UUID, which no other tenant ever gets.
    """

    operation: str
    started_at: str
    placement: Placement | None = None
    candidates: tuple[Placement, ...] = ()
    is_uuid: bool = False


@attrs.frozen(kw_only=True)
class Transition:
    """Record of one job. Without ``ended_at`` the job is running, or was killed.

    Attributes:
        placement: Where the tenant's resource is after the job.
        removed: Where the job confirmed that no resource is left.
        changes: The changes of an update, by names of keys and never with values.
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
        """Whether the history shows it; it leaves out a resync that repaired nothing."""
        nothing = self.outcome in (Outcome.UNCHANGED, Outcome.ABSENT)
        return self.operation != Operation.RESYNC or not nothing


@attrs.frozen(kw_only=True)
class CompletedJob:
    """Job that had the tenant's lock, as far as its resync needs it.

    Attributes:
        tenant: The tenant's key.
        removed: Where the tenant had a resource before the job, or the job confirmed that none is left.
        preempted: Whether this job preempted the one before, whose last request may land later.
        overrode_delete: Whether this job superseded a delete.
        last: Whether this is the last check, after which no request can be under way.
        put_off: How often the resync was put off because the job still ran.
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
    """Durable knowledge of one tenant.

    Attributes:
        placements: Where the tenant has, or may have, a resource; the last one is the newest.
        transitions: The last jobs, oldest first.
        deleted: Whether a delete confirmed that no resource is left, and no job started since.
    """

    placements: tuple[Placement, ...] = ()
    transitions: tuple[Transition, ...] = ()
    deleted: bool = False

    def has_ended(self, execution_id: str) -> bool:
        """Whether this job has an end in the record."""
        return any(t.execution_id == execution_id and t.ended_at for t in self.transitions)

    def with_placement(self, placement: Placement | None) -> "Record":
        """Add a placement, unless the record has it."""
        if placement is None or placement in self.placements:
            return self
        return attrs.evolve(self, placements=(*self.placements, placement))

    def with_start(self, execution_id: str, note: JobStart) -> "Record":
        """Add a job's start and placement, unless the record has them."""
        placements = self.with_placement(note.placement).placements or note.candidates
        transitions = self.transitions
        if all(t.execution_id != execution_id for t in transitions):
            start = Transition(
                execution_id=execution_id, operation=note.operation, started_at=note.started_at
            )
            transitions = (*transitions, start)[-HISTORY:]
        # A second delete keeps the mark: it has nothing to look for.
        deleted = self.deleted and note.operation == Operation.DELETE
        return Record(placements=placements, transitions=transitions, deleted=deleted)

    def with_end(self, transition: Transition) -> "Record":
        """Add a job's end, unless the record has it."""
        if self.has_ended(transition.execution_id):
            return self
        placements = tuple(p for p in self.placements if p not in transition.removed)
        if transition.placement is not None:
            # At the end: the last placement is the one that serves the tenant.
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

    Attributes:
        transition: An addition to that form. A backend completes the record from it where the job
            itself could not.
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
    """Answer of a job, in the form of Landlord's ExecutionStatus (landlord 98ffef1)."""

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
    """Another resync of a job, due ``after`` so many seconds."""

    after: float
    ended: CompletedJob


@attrs.frozen
class Resynced:
    """Result of a resync: an answer in the form of a job's, and another resync if one is due."""

    answer: ExecutionStatus
    follow_up: FollowUp | None = None


@attrs.frozen(kw_only=True)
class Tenant:
    """Tenant as Landlord's API shows it; unknown keys are ignored."""

    id: str
    name: str = ""
    status: str = ""
    desired_config: Mapping[str, object] = attrs.field(factory=dict, repr=False)
    labels: Mapping[str, str] = attrs.field(factory=dict)
    annotations: Mapping[str, str] = attrs.field(factory=dict)


def config_hash(config: object) -> str:
    """Hash a configuration, independent of the order of its keys.

    Returns:
        SHA-256 in hex of the sorted, compact JSON text.
    """
    return hashlib.sha256(_encoder.encode(config).encode()).hexdigest()


def key_hashes(config: Mapping[str, object]) -> dict[str, str]:
    """Hash each top-level value by itself, to name a changed key without its value."""
    # Shortened: a target keeps the hashes of all keys, and its labels have little room.
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
