"""The text and the JSON documents of the commands about tenants.

docs/operating/tenants.schema.json describes the documents. No output contains a value of a configuration.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime

import attrs

from landlord_engines_core.engine import OpenJob, TenantStatus
from landlord_engines_core.models import Placement, Transition
from landlord_engines_core.tenants.planning import TenantPlan

__all__ = [
    "describe_history",
    "describe_plan",
    "describe_tenant",
    "render_header",
    "render_history",
    "render_job",
    "render_json",
    "render_plan",
    "render_row",
    "render_status",
    "render_summary",
]

_WIDTHS = (36, 20, 10, 16, 11, 9, 20)
"""Widths of the columns of `render_row`. They are fixed, because rows are printed as they arrive."""


def render_row(status: TenantStatus) -> str:
    """Render one line of the list of tenants."""
    placement = status.placement or Placement("")
    return _join(
        (
            status.tenant,
            status.record.name,
            placement.engine,
            placement.location,
            status.outcome,
            status.state,
            _format_time(status.since),
            status.reason,
        )
    )


def render_header() -> str:
    """Render the line above the list."""
    return _join(("TENANT", "NAME", "ENGINE", "LOCATION", "OUTCOME", "STATE", "SINCE", "REASON"))


def render_summary(states: Counter[str], different: int) -> str:
    """Render the line below the list: how many tenants there are, by state."""
    counts = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    total = states.total()
    return f"{total} tenants, {different} not as desired" + (f": {counts}" if counts else "")


def render_status(status: TenantStatus) -> Iterator[str]:
    """Render one tenant, with its problems first."""
    for job in status.jobs:
        yield render_job(job)
    if not status.jobs:
        reason = f": {status.reason}" if status.reason else ""
        yield _escape(f"idle since {_format_time(status.since)}, {status.outcome}{reason}")
    yield f"tenant     {_escape(status.tenant)}"
    yield f"name       {_escape(status.record.name) or '-'}"
    for placement in status.record.placements:
        yield f"placement  {_format_placement(placement)}"
    if (last := status.last) is not None:
        yield f"last job   {_format_transition(status, last)}"


def render_job(job: OpenJob) -> str:
    """Render an open job."""
    parts = [f"{job.state} since {_format_time(job.since)}", f"job {job.execution_id}"]
    if job.attempts:
        parts.append(f"attempt {job.attempts}")
    if job.next_try_at:
        parts.append(f"next attempt at {_format_time(job.next_try_at)}")
    return _escape(", ".join(parts) + (f": {job.error}" if job.error else ""))


def render_history(status: TenantStatus) -> Iterator[str]:
    """Render a tenant's transitions, the oldest first."""
    for transition in status.record.transitions:
        yield _format_transition(status, transition)


def render_plan(plan: TenantPlan) -> Iterator[str]:
    """Render what an apply would change."""
    if not plan.status:
        yield "Landlord does not know this tenant, so nothing would change"
        return
    if plan.is_empty:
        yield f"nothing would change, Landlord shows the tenant as {_escape(plan.status)}"
    elif plan.placement is not None:
        changes = f": {', '.join(plan.changes)}" if plan.changes else ""
        yield _escape(f"{plan.action} on {_format_placement(plan.placement)}{changes}")
    for placement in plan.removed:
        yield f"delete on {_format_placement(placement)}"


def render_json(document: object) -> str:
    """Render a JSON document."""
    return json.dumps(document, indent=2)


def describe_tenant(status: TenantStatus) -> Mapping[str, object]:
    """Describe one tenant."""
    return {
        "tenant": status.tenant,
        "name": status.record.name,
        "state": status.state,
        "outcome": status.outcome,
        "since": status.since,
        "reason": status.reason,
        "as_desired": status.is_converged,
        "placements": [_describe_placement(each) for each in status.record.placements],
        "jobs": list(map(attrs.asdict, status.jobs)),
    }


def describe_history(status: TenantStatus) -> Mapping[str, object]:
    """Describe a tenant's transitions."""
    return {
        "tenant": status.tenant,
        "name": status.record.name,
        "transitions": [_describe_transition(status, each) for each in status.record.transitions],
    }


def describe_plan(tenant: str, plan: TenantPlan) -> Mapping[str, object]:
    """Describe what an apply would change."""
    return {
        "tenant": tenant,
        "name": plan.name,
        "status": plan.status,
        "action": str(plan.action),
        "placement": None if plan.placement is None else _describe_placement(plan.placement),
        "changes": list(plan.changes),
        "removed": [_describe_placement(each) for each in plan.removed],
    }


def _describe_transition(status: TenantStatus, transition: Transition) -> Mapping[str, object]:
    placement = transition.placement
    return {
        "execution_id": transition.execution_id,
        "operation": transition.operation,
        "outcome": status.outcome_of(transition),
        "started_at": transition.started_at,
        "ended_at": transition.ended_at,
        "placement": None if placement is None else _describe_placement(placement),
        "removed": [_describe_placement(each) for each in transition.removed],
        "changes": list(transition.changes),
        "detail": transition.detail,
    }


def _describe_placement(placement: Placement) -> Mapping[str, object]:
    return {
        "engine": placement.engine,
        "location": placement.location,
        "resource_ids": dict(placement.resource_ids),
    }


def _format_transition(status: TenantStatus, transition: Transition) -> str:
    outcome = status.outcome_of(transition) or "open"
    cells = [_format_time(transition.started_at), f"{transition.operation:<9}", f"{outcome:<11}"]
    if transition.placement is not None:
        cells.append(_format_placement(transition.placement))
    cells += [*transition.changes, transition.detail]
    return _escape("  ".join(filter(None, cells)).rstrip())


def _format_placement(placement: Placement) -> str:
    ids = ", ".join(f"{key}={value}" for key, value in placement.resource_ids.items())
    location = f" {placement.location}" if placement.location else ""
    return _escape(f"{placement.engine}{location}" + (f" ({ids})" if ids else ""))


def _join(cells: Iterable[str]) -> str:
    widths = (*_WIDTHS, 0)
    return "  ".join(
        f"{_escape(cell) or '-':<{width}}" for cell, width in zip(cells, widths, strict=True)
    ).rstrip()


def _format_time(text: str) -> str:
    """Shorten RFC 3339 text to seconds in UTC; keep any other text."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return text or "-"
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _escape(text: str) -> str:
    """Escape characters that would change lines or the terminal: a tenant chooses its names."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )
