import re
from uuid import UUID

import pytest
from hypothesis import given, strategies as st

from landlord_engines_core.compute.docker import names

TENANT = str(UUID(int=7))


def test_a_uuid_has_the_name_that_landlords_own_worker_gives_it() -> None:
    assert names.current_name("landlord", TENANT) == f"landlord-tenant-{TENANT}"
    assert names.next_name("acme", TENANT) == f"acme-tenant-{TENANT}-next"


@given(st.text(st.characters(exclude_categories=()), max_size=300))
def test_any_tenant_has_a_name_that_docker_accepts(tenant: str) -> None:
    for name in (names.current_name("landlord", tenant), names.next_name("landlord", tenant)):
        assert re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{1,100}", name)


@given(*[st.text(st.characters(exclude_categories=()), max_size=20)] * 2)
def test_two_tenants_never_share_a_name(one: str, other: str) -> None:
    used = {names.current_name("landlord", one), names.next_name("landlord", one)}
    taken = {names.current_name("landlord", other), names.next_name("landlord", other)}

    assert used.isdisjoint(taken) or one == other


@given(*[st.text(st.characters(exclude_categories=()), max_size=20)] * 2)
def test_the_labels_of_a_tenant_are_its_own_only(one: str, other: str) -> None:
    labels = names.identity("landlord", one)

    assert names.belongs_to(labels, one)
    assert names.belongs_to(labels, other) == (one == other)
    for value in labels.values():
        value.encode()


def test_half_a_surrogate_pair_and_its_escape_are_told_apart() -> None:
    assert not names.belongs_to(names.identity("landlord", "\ud800"), "\\ud800")
    assert not names.belongs_to(names.identity("landlord", "\\ud800"), "\ud800")


def test_the_labels_of_landlords_own_worker_are_enough() -> None:
    labels = {"landlord.owner": "landlord", "landlord.tenant_id": TENANT}

    assert names.belongs_to(labels, TENANT)


@pytest.mark.parametrize(
    "labels",
    [{}, {"landlord.owner": "me", "landlord.tenant_id": TENANT}, {"landlord.owner": "landlord"}],
)
def test_other_labels_are_not(labels: dict[str, str]) -> None:
    assert not names.belongs_to(labels, TENANT)


def test_a_prefix_adds_labels_and_takes_none_away() -> None:
    labels = names.identity("acme", TENANT)

    assert labels["acme.tenant_id"] == labels["landlord.tenant_id"] == TENANT
    assert names.belongs_to(labels, TENANT)
