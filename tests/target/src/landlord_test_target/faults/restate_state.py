"""The state of tenants in Restate once no job is open."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from landlord_test_target.harness import Harness

__all__ = ["RestateState"]

Locations = set[tuple[str, str]]


@attrs.frozen(kw_only=True)
class RestateState:
    """The state of all tenant locks, and the tenants whose state is scheduled to be cleared.

    Attributes:
        states: The lock's state of each tenant.
        to_be_forgotten: The tenants whose state is scheduled to be cleared.
    """

    states: Mapping[str, Mapping[str, Any]]
    to_be_forgotten: frozenset[str]

    @classmethod
    async def read(cls, harness: Harness) -> "RestateState":
        """Read the state of the locks and the scheduled calls from Restate."""
        lock = f"{harness.service}Tenant"
        states = await harness.admin.query(
            "SELECT service_key, value_utf8 FROM state"
            f" WHERE service_name = '{lock}' AND key = 'lock'"
        )
        scheduled = await harness.admin.query(
            "SELECT target_service_key FROM sys_invocation"
            f" WHERE target_service_name = '{lock}' AND target_handler_name = 'forget'"
            " AND status != 'completed'"
        )
        return cls(
            states={str(row["service_key"]): json.loads(str(row["value_utf8"])) for row in states},
            to_be_forgotten=frozenset(str(row["target_service_key"]) for row in scheduled),
        )

    def faults(self, tenant: str, locations: Locations) -> Iterator[str]:
        """List the faults in the state of a tenant whose resources are at these locations.

        Args:
            tenant: The tenant's id.
            locations: Engine and location of each resource.
        """
        state = self.states.get(tenant)
        if state is None:
            if locations:
                yield "it has resources and no record"
            return
        if state.get("resync") is not None:
            yield f"resync {state['resync']} never ended"
        recorded = {
            (placement["engine"], placement["location"])
            for placement in state["record"]["placements"]
        }
        if recorded != locations:
            yield f"its resources are at {sorted(locations)}, and its record names {sorted(recorded)}"
        # The state of a deleted tenant must not stay in Restate for ever.
        if not recorded and tenant not in self.to_be_forgotten:
            yield "it is deleted and never forgotten"
