import re
from uuid import UUID

import pytest
from hypothesis import given, strategies as st

from landlord_engines_core.compute.docker import labels as naming

TENANT = str(UUID(int=7))


def test_a_uuid_has_the_name_that_landlords_own_worker_gives_it() -> None:
    assert naming.current_name("landlord", TENANT) == f"landlord-tenant-{TENANT}"
    assert naming.next_name("acme", TENANT) == f"acme-tenant-{TENANT}-next"


@given(st.text(st.characters(exclude_categories=()), max_size=300))
def test_any_tenant_has_a_name_that_docker_accepts(tenant: str) -> None:
    for name in (naming.current_name("landlord", tenant), naming.next_name("landlord", tenant)):
        assert re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{1,100}", name)


@given(*[st.text(st.characters(exclude_categories=()), max_size=20)] * 2)
def test_two_tenants_never_share_a_name(tenant: str, other: str) -> None:
    used = {naming.current_name("landlord", tenant), naming.next_name("landlord", tenant)}
    taken = {naming.current_name("landlord", other), naming.next_name("landlord", other)}

    assert used.isdisjoint(taken) or tenant == other


@given(*[st.text(st.characters(exclude_categories=()), max_size=20)] * 2)
def test_the_labels_of_a_tenant_select_only_that_tenant(tenant: str, other: str) -> None:
    labels = naming.identity_labels("landlord", tenant)

    assert naming.belongs_to(labels, tenant)
    assert naming.belongs_to(labels, other) == (tenant == other)
    for value in labels.values():
        value.encode()


def test_a_lone_surrogate_and_its_escape_get_different_names() -> None:
    assert not naming.belongs_to(naming.identity_labels("landlord", "\ud800"), "\\ud800")
    assert not naming.belongs_to(naming.identity_labels("landlord", "\\ud800"), "\ud800")


def test_the_labels_of_landlords_own_worker_select_its_containers() -> None:
    labels = {"landlord.owner": "landlord", "landlord.tenant_id": TENANT}

    assert naming.belongs_to(labels, TENANT)


@pytest.mark.parametrize(
    "labels",
    [{}, {"landlord.owner": "me", "landlord.tenant_id": TENANT}, {"landlord.owner": "landlord"}],
)
def test_other_labels_select_nothing(labels: dict[str, str]) -> None:
    assert not naming.belongs_to(labels, TENANT)


def test_a_prefix_adds_labels_and_removes_none() -> None:
    labels = naming.identity_labels("acme", TENANT)

    assert labels["acme.tenant_id"] == labels["landlord.tenant_id"] == TENANT
    assert naming.belongs_to(labels, TENANT)
