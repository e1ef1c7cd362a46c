"""The table of compute engines in the documents says what is tested, no more and no less."""

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
"""Where each engine is held to the contract."""

RULES = {
    "What is not there is missing, and deleting it succeeds": (
        "test_what_is_not_there_is_missing_and_deleting_it_succeeds",
    ),
    "Keeps the configuration's hashes beside the resource": (
        "test_a_resource_keeps_the_hashes_that_it_was_made_with",
    ),
    "An act ten times over does what once does": (
        "test_each_act_ten_times_over_does_what_once_does",
    ),
    "Adopts what another worker made": ("test_another_worker_takes_over_what_is_there",),
    "A create of what is there updates it, an update of what is missing creates it": (
        "test_provision_of_what_is_there_otherwise_updates_it",
        "test_update_of_what_is_missing_makes_it",
    ),
    "Notices what was done behind its back, and puts it right": (
        "test_what_drifted_is_seen_and_brought_back",
    ),
    "An act cut at any point is gone on with, taken back or deleted": (
        "test_an_act_cut_at_any_point_is_brought_to_its_end_by_another_worker",
        "test_an_update_cut_at_any_point_can_be_taken_back",
        "test_a_delete_leaves_nothing_of_an_act_that_was_cut",
    ),
    "Many tenants at once get each its own": ("test_many_tenants_at_once_get_each_its_own",),
    "The same at once from two workers makes one": (
        "test_the_same_at_once_from_two_workers_makes_one",
    ),
    "Ids of any characters are told apart": ("test_ids_of_any_characters_are_told_apart",),
    "Values of any characters arrive as they are, or are refused": (
        "test_values_of_any_characters_arrive_as_they_are_or_are_refused",
    ),
    "Tells a secret to nobody": ("test_a_secret_is_told_to_nobody",),
    "Its schema is JSON Schema 2020-12": ("test_the_schema_is_one_and_accepts_what_the_tests_use",),
}
"""The contract's rules, each with the tests of the suite that hold engines to it."""

FEATURES: Mapping[str, Mapping[str, str]] = {
    "Its tenants outlive the worker": {
        "process": "e2e/test_process.py::test_a_process_outlives_its_worker_and_is_found_again",
        "docker": "e2e/docker/test_restate.py"
        "::test_a_worker_killed_in_an_update_is_followed_by_one_that_ends_it",
        "ecs": "core/compute/ecs/test_lifecycle.py::test_a_delete_after_a_restart_deletes",
    },
    "Adopts what Landlord's own worker made": {
        "docker": "e2e/docker/test_updates.py"
        "::test_a_container_of_landlords_own_worker_is_adopted_updated_and_deleted",
        "ecs": "core/compute/ecs/test_engine.py"
        "::test_a_service_of_landlords_own_worker_is_adopted_and_changed",
    },
    "An update that fails brings the former back": {
        "process": "e2e/test_process.py"
        "::test_an_update_that_does_not_serve_is_rolled_back_and_held",
        "docker": "e2e/docker/test_updates.py"
        "::test_an_update_that_does_not_become_healthy_brings_the_former_back",
        "ecs": "core/compute/ecs/test_rollouts.py"
        "::test_a_rollout_that_fails_is_taken_back_and_told_with_ecs_reason",
    },
    "Asks the tenant for its health": {
        "process": "core/compute/process/test_health.py::test_an_answer_is_judged_by_its_status",
        "docker": "e2e/docker/test_containers.py"
        "::test_a_check_of_ours_is_asked_at_the_containers_own_address",
    },
    "Chooses free ports and tells them": {
        "process": "core/compute/process/test_ports.py"
        "::test_a_chosen_port_is_in_the_range_and_a_tenants_own",
        "docker": "e2e/docker/test_containers.py::test_a_free_port_is_found_and_told",
    },
    "Limits a tenant's CPU and memory": {
        "docker": "e2e/docker/test_containers.py::test_a_container_is_as_its_tenant_wants_it",
    },
    "Has a policy of the operator's for what tenants may do": {
        "docker": "core/compute/docker/test_policy.py"
        "::test_a_hostile_configuration_is_refused_before_any_daemon_call",
    },
    "Moves tenants between its own locations": {
        "ecs": "core/compute/ecs/test_lifecycle.py"
        "::test_another_cluster_gets_the_tenant_before_the_former_one_loses_it",
    },
    "Needs an extra": {
        "docker": "core/compute/docker/test_extra.py"
        "::test_docker_without_its_extra_names_the_line_that_installs_it",
        "ecs": "core/compute/ecs/test_extra.py"
        "::test_without_its_extra_core_works_and_the_engine_names_what_to_install",
    },
}
"""What engines can do beyond the rules, and for each that can the test that shows it."""

FACTS = (
    "While an update runs, the tenant is",
    "The configuration's hash is in",
    "Secrets on the target are in",
)
"""Rows that say how instead of whether."""


def table() -> dict[str, dict[str, str]]:
    """The cells of the first table by row and engine."""
    lines = (ROOT / "docs" / "compute-engines.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line[1:-1].split("|")] for line in lines if line[:1] == "|"]
    (_, *engines), _, *rest = rows
    assert engines == list(MODULES)
    wanted = len(RULES) + len(FEATURES) + len(FACTS)
    return {row: dict(zip(engines, cells, strict=True)) for row, *cells in rest[:wanted]}


@cache
def held_to_the_contract(engine: str) -> tuple[type[ComputeContract], type[Subject]]:
    """An engine's suite and its subject."""
    there: Mapping[str, Any] = runpy.run_path(str(ROOT / "tests" / MODULES[engine]))
    kinds = [kind for kind in there.values() if isinstance(kind, type)]
    (suite,) = (kind for kind in kinds if ComputeContract in kind.__bases__)
    (subject,) = (kind for kind in kinds if Subject in kind.__bases__)
    return suite, subject


def own_tests(suite: type) -> set[str]:
    return {name for name in vars(suite) if name.startswith("test_")}


def keeps(engine: str, rule: str) -> bool:
    """Whether the suite tries this rule with this engine."""
    suite, subject = held_to_the_contract(engine)
    # The tests are the suite's, not the engine's own of the same name.
    assert not own_tests(suite) & own_tests(ComputeContract)
    if rule.startswith("An act cut"):
        return {"create", "update", "delete"} <= subject.points.keys()
    if rule.startswith("Notices"):
        return bool(subject.drifts)
    return True


def test_the_table_has_every_row_once_and_no_other() -> None:
    assert list(table()) == [*RULES, *FEATURES, *FACTS]


def test_every_test_of_the_suite_is_in_a_row() -> None:
    named = [test for tests in RULES.values() for test in tests]

    assert sorted(named) == sorted(own_tests(ComputeContract))


@pytest.mark.parametrize("engine", MODULES)
def test_an_engine_keeps_the_rules_that_the_table_says_it_keeps(engine: str) -> None:
    said = {rule: table()[rule][engine] for rule in RULES}

    assert said == {rule: "yes" if keeps(engine, rule) else "no" for rule in RULES}


@pytest.mark.parametrize("engine", MODULES)
def test_an_engine_has_the_features_that_the_table_says_it_has(engine: str) -> None:
    said = {feature: table()[feature][engine].partition(":")[0] for feature in FEATURES}

    assert said == {feature: "yes" if engine in FEATURES[feature] else "no" for feature in FEATURES}


def test_every_feature_is_shown_by_a_test() -> None:
    named = [test.split("::") for tests in FEATURES.values() for test in tests.values()]

    for path, name in named:
        assert f"def {name}(" in (ROOT / "tests" / path).read_text(), name
