"""Values that cross a boundary: jobs, records, transitions, and Landlord's documents.

A record is the durable state of one tenant. Its placements say where the tenant has resources, and its
transitions are the history of its jobs.

All classes are frozen. Later versions read the values that a backend keeps: `Record`, the values of
steps in `landlord_engines_core.tenants.results`, and the classes inside them. Fields of these classes
are only added, each with a default. Words out of a fixed set are plain strings there, since a later
version may add some.
"""

import hashlib
import json
from collections.abc import Mapping
from enum import StrEnum

import attrs

from landlord_engines_core import codec

__all__ = [
    "HISTORY_LIMIT",
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
    "PolledExecution",
    "PolledState",
    "Record",
    "Resynced",
    "Tenant",
    "Transition",
    "config_hash",
    "key_hashes",
    "merge",
]

HISTORY_LIMIT = 50
"""Number of transitions that a record keeps."""


# One encoder for all calls: with options, json.dumps creates one in each call.
_encoder = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


class Operation(StrEnum):
    """Operation of a job. Landlord sends provision, update and delete."""

    PROVISION = "provision"
    UPDATE = "update"
    DELETE = "delete"
    PLAN = "plan"
    RESYNC = "resync"
    """No client sends it. The worker engine starts it some time after a job."""


class Outcome(StrEnum):
    """Outcome of a job for its tenant."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    DELETED = "deleted"
    ABSENT = "absent"
    """A delete saw no resource."""
    ROLLED_BACK = "rolled-back"
    """An update did not become healthy, and the previous resource serves again."""
    REFUSED = "refused"
    """The configuration or an engine refused a repair, or a job ended by
    ``worker.on_permanent_failure``."""


class ExecutionState(StrEnum):
    """State in Landlord's ExecutionStatus; a worker answers with no other."""

    SUCCEEDED = "succeeded"
    CANCELLED = "cancelled"


@attrs.frozen(kw_only=True)
class Job:
    """One requested operation on one tenant, parsed from a body.

    Attributes:
        tenant: The tenant's key: Landlord's UUID, or the name if the body has no UUID.
        name: The tenant's name, which can change and may contain any characters.
        desired_config: The tenant's configuration, which may contain secrets.
        compute_provider: The compute engine that the job names, or empty.
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
        location: The part of the target, for example a cluster; empty if there is only one.
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
        name: The tenant's name, shortened; empty if an earlier version began the job.
    """

    operation: str
    started_at: str
    placement: Placement | None = None
    candidates: tuple[Placement, ...] = ()
    is_uuid: bool = False
    name: str = attrs.field(default="", metadata=codec.ADDED_LATER)


@attrs.frozen(kw_only=True)
class Transition:
    """History entry of one job. Without ``ended_at`` the job still runs, or was killed.

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
        """Whether the history shows this job; it omits a resync that repaired nothing."""
        is_unchanged = self.outcome in (Outcome.UNCHANGED, Outcome.ABSENT)
        return self.operation != Operation.RESYNC or not is_unchanged


@attrs.frozen(kw_only=True)
class CompletedJob:
    """Job that had the tenant's lock, with the facts that its resync needs.

    Attributes:
        tenant: The tenant's key.
        removed: Where the tenant had a resource before the job, or the job confirmed that none is left.
        preempted: Whether this job preempted another, whose last request may reach the target later.
        overrode_delete: Whether this job superseded a delete.
        last: Whether this is the last resync: no request of the job can be under way any more.
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
        placements: Where the tenant has, or may have, a resource. A new one is appended, and a job that
            ends moves its placement to the end.
        transitions: The last jobs, oldest first.
        deleted: Whether a delete confirmed that no resource is left, and no job started since.
        name: The tenant's name in its last job, shortened; may be empty.
    """

    placements: tuple[Placement, ...] = ()
    transitions: tuple[Transition, ...] = ()
    deleted: bool = False
    name: str = attrs.field(default="", metadata=codec.ADDED_LATER)

    def has_ended(self, execution_id: str) -> bool:
        """Whether this job has an end in the record."""
        return any(t.execution_id == execution_id and t.ended_at for t in self.transitions)

    def with_placement(self, placement: Placement | None) -> "Record":
        """Add a placement, unless the record has it."""
        if placement is None or placement in self.placements:
            return self
        return attrs.evolve(self, placements=(*self.placements, placement))

    def with_start(self, execution_id: str, start: JobStart) -> "Record":
        """Add a job's start and placement, unless the record has them."""
        placements = self.with_placement(start.placement).placements or start.candidates
        transitions = self.transitions
        if all(t.execution_id != execution_id for t in transitions):
            transition = Transition(
                execution_id=execution_id, operation=start.operation, started_at=start.started_at
            )
            transitions = (*transitions, transition)[-HISTORY_LIMIT:]
        # A second delete keeps ``deleted``: there is still no resource.
        deleted = self.deleted and start.operation == Operation.DELETE
        return Record(
            placements=placements,
            transitions=transitions,
            deleted=deleted,
            name=start.name or self.name,
        )

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
        return attrs.evolve(record, transitions=(*others, transition)[-HISTORY_LIMIT:])


@attrs.frozen(kw_only=True)
class Output:
    """The ``output`` of an execution's answer, in the form of Landlord's Go worker.

    Attributes:
        transition: An addition to that form. A backend completes the record from it if the job
            could not.
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


class PolledState(StrEnum):
    """State of an execution as Landlord reads it from a backend."""

    PENDING = "pending"
    """The backend has the job, and no worker has begun it."""
    RUNNING = "running"
    WAITING = "waiting"
    """The job has begun, and waits for something other than its next attempt."""
    BACKING_OFF = "backing-off"
    """The job waits for its next attempt. If the configuration changed, Landlord kills it."""
    SUCCEEDED = "succeeded"
    """Landlord takes the job for a success. It does so for each ended job on Restate."""
    FAILED = "failed"

    @property
    def has_ended(self) -> bool:
        """Whether the execution has ended; Landlord then polls it no more."""
        return self in (PolledState.SUCCEEDED, PolledState.FAILED)

    @property
    def sub_state(self) -> str:
        """The sub-state that Landlord's API shows."""
        return "waiting" if self is PolledState.PENDING else self.value


@attrs.frozen(kw_only=True)
class PolledExecution:
    """One reading of an execution.

    Attributes:
        retry_count: How many attempts failed, as the backend counts them.
        error: Why the last attempt failed, or the job ended; may be empty.
    """

    state: PolledState
    retry_count: int = 0
    error: str = ""


@attrs.frozen(kw_only=True)
class FollowUp:
    """Another resync of a job, due in ``after`` seconds."""

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
    """Hash each top-level value separately, to name a changed key without its value."""
    # Shortened: a target keeps the hashes of all keys, and its labels have little room.
    return {key: config_hash(value)[:16] for key, value in config.items()}


def merge(base: Mapping[str, object], override: Mapping[str, object]) -> dict[str, object]:
    """Merge ``override`` into ``base``: maps merge, every other value replaces."""
    merged = dict(base)
    for key, value in override.items():
        nested = merged.get(key)
        if isinstance(nested, Mapping) and isinstance(value, Mapping):
            merged[key] = merge(nested, value)
        else:
            merged[key] = value
    return merged
