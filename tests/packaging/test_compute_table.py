"""The table of compute engines in the documents says exactly what the tests check."""

import runpy
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from landlord_test_target.compute_contract import ComputeContract, Subject

ROOT = Path(__file__).parents[2]

MODULES = {
    "mock": "core/compute/test_mock.py",
    "process": "core/compute/process/test_contract.py",
    "docker": "e2e/docker/test_contract.py",
    "ecs": "core/compute/ecs/test_contract.py",
}
"""The module that runs the contract's suite with each engine."""

RULES = {
    "Reports a missing resource as missing, and its delete succeeds": (
        "test_a_tenant_without_a_resource_is_missing_and_its_delete_succeeds",
    ),
    "Keeps the configuration's hashes beside the resource": (
        "test_a_resource_keeps_the_hashes_of_its_spec",
    ),
    "Ten repetitions of an act have the effect of one": (
        "test_an_operation_repeated_ten_times_has_the_effect_of_one",
    ),
    "Adopts a resource of another worker": ("test_another_worker_adopts_an_existing_resource",),
    "A create of an existing resource updates it, an update of a missing one creates it": (
        "test_provision_updates_a_resource_with_another_config",
        "test_update_creates_a_missing_resource",
    ),
    "Detects changes from outside, and repairs them": ("test_drift_is_detected_and_repaired",),
    "An act interrupted at any point is resumed, rolled back or deleted": (
        "test_another_worker_completes_an_operation_interrupted_at_any_failpoint",
        "test_an_update_interrupted_at_any_failpoint_can_be_reverted",
        "test_a_delete_leaves_nothing_of_an_interrupted_operation",
    ),
    "Gives each of many concurrent tenants its own resource": (
        "test_many_tenants_at_once_each_get_their_own_resource",
    ),
    "Two workers with the same job create one resource": (
        "test_simultaneous_operations_of_two_workers_make_one_resource",
    ),
    "Distinguishes ids of any characters": ("test_ids_of_any_characters_are_distinguished",),
    "Passes values of any characters unchanged, or refuses them": (
        "test_values_of_any_characters_arrive_unchanged_or_are_refused",
    ),
    "Reveals no secret": ("test_no_output_shows_a_secret",),
    "Its schema is JSON Schema 2020-12": (
        "test_the_schema_is_valid_and_accepts_the_configurations_of_the_tests",
    ),
}
"""The contract's rules, each with its tests in the suite."""

FEATURES: Mapping[str, Mapping[str, str]] = {
    "Its tenants outlive the worker": {
        "process": "e2e/test_process.py::test_a_process_outlives_its_worker_and_is_found_again",
        "docker": "e2e/docker/test_restate.py"
        "::test_the_next_worker_completes_an_update_of_a_killed_worker",
        "ecs": "core/compute/ecs/test_lifecycle.py::test_a_delete_after_a_restart_of_the_worker_removes_the_service",
    },
    "Adopts resources of Landlord's own worker": {
        "docker": "e2e/docker/test_updates.py"
        "::test_a_container_of_landlords_own_worker_is_adopted_updated_and_deleted",
        "ecs": "core/compute/ecs/test_engine.py"
        "::test_a_service_of_landlords_own_worker_is_adopted_and_changed",
    },
    "Rolls back an update that fails": {
        "process": "e2e/test_process.py"
        "::test_an_update_that_does_not_become_healthy_is_rolled_back_and_held",
        "docker": "e2e/docker/test_updates.py"
        "::test_an_update_that_does_not_become_healthy_restores_the_previous_container",
        "ecs": "core/compute/ecs/test_rollouts.py"
        "::test_a_failed_rollout_is_rolled_back_and_reported_with_the_reason_of_ecs",
    },
    "Checks the tenant's health": {
        "process": "core/compute/process/test_health.py::test_an_answer_is_judged_by_its_status",
        "docker": "e2e/docker/test_containers.py"
        "::test_a_health_check_uses_the_address_of_the_container",
    },
    "Chooses free ports and reports them": {
        "process": "core/compute/process/test_ports.py"
        "::test_a_chosen_port_is_in_the_range_and_belongs_to_one_tenant",
        "docker": "e2e/docker/test_containers.py::test_a_free_host_port_is_chosen_and_reported",
    },
    "Limits a tenant's CPU and memory": {
        "docker": "e2e/docker/test_containers.py::test_a_container_is_as_its_tenant_wants_it",
    },
    "Has a policy of the operator for tenants' configurations": {
        "docker": "core/compute/docker/test_policy.py"
        "::test_a_hostile_configuration_is_refused_before_any_daemon_call",
    },
    "Moves tenants between its own locations": {
        "ecs": "core/compute/ecs/test_lifecycle.py"
        "::test_a_move_provisions_the_new_cluster_before_it_clears_the_old_one",
    },
    "Needs an extra": {
        "docker": "core/compute/docker/test_extra.py"
        "::test_docker_without_its_extra_names_the_line_that_installs_it",
        "ecs": "core/compute/ecs/test_extra.py"
        "::test_without_its_extra_core_works_and_the_engine_names_what_to_install",
    },
}
"""Features beyond the rules, each with a test of every engine that has it."""

FACTS = (
    "During an update the tenant is",
    "The configuration's hash is in",
    "Secrets on the target are in",
)
"""Rows with facts, which no test checks."""


def table() -> dict[str, dict[str, str]]:
    """Read the cells of the first table by row and engine."""
    lines = (ROOT / "docs" / "compute" / "engines.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line[1:-1].split("|")] for line in lines if line[:1] == "|"]
    (_, *engines), _, *rest = rows
    assert engines == list(MODULES)
    count = len(RULES) + len(FEATURES) + len(FACTS)
    return {row: dict(zip(engines, cells, strict=True)) for row, *cells in rest[:count]}


@cache
def load_contract_suite(engine: str) -> tuple[type[ComputeContract], type[Subject]]:
    """Load the contract suite of an engine, and its subject."""
    namespace: Mapping[str, Any] = runpy.run_path(str(ROOT / "tests" / MODULES[engine]))
    kinds = [kind for kind in namespace.values() if isinstance(kind, type)]
    (suite,) = (kind for kind in kinds if ComputeContract in kind.__bases__)
    (subject,) = (kind for kind in kinds if Subject in kind.__bases__)
    return suite, subject


def list_own_tests(suite: type) -> set[str]:
    return {name for name in vars(suite) if name.startswith("test_")}


def runs_rule(engine: str, rule: str) -> bool:
    """Check whether the contract suite runs this rule for this engine."""
    suite, subject = load_contract_suite(engine)
    # The tests have to be those of the suite, not tests of the engine with the same name.
    assert not list_own_tests(suite) & list_own_tests(ComputeContract)
    if rule.startswith("An act interrupted"):
        return {"create", "update", "delete"} <= subject.points.keys()
    return True


def test_the_table_has_every_row_once_and_no_other() -> None:
    assert list(table()) == [*RULES, *FEATURES, *FACTS]


def test_every_test_of_the_suite_is_in_a_row() -> None:
    named = [test for tests in RULES.values() for test in tests]

    assert sorted(named) == sorted(list_own_tests(ComputeContract))


@pytest.mark.parametrize("engine", MODULES)
def test_an_engine_keeps_the_rules_that_the_table_says_it_keeps(engine: str) -> None:
    documented = {rule: table()[rule][engine] for rule in RULES}

    assert documented == {rule: "yes" if runs_rule(engine, rule) else "no" for rule in RULES}


@pytest.mark.parametrize("engine", MODULES)
def test_an_engine_has_the_features_that_the_table_says_it_has(engine: str) -> None:
    documented = {feature: table()[feature][engine].partition(":")[0] for feature in FEATURES}

    assert documented == {
        feature: "yes" if engine in FEATURES[feature] else "no" for feature in FEATURES
    }


def test_every_feature_is_shown_by_a_test() -> None:
    named = [test.split("::") for tests in FEATURES.values() for test in tests.values()]

    for path, name in named:
        assert f"def {name}(" in (ROOT / "tests" / path).read_text(), name
