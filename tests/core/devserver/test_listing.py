from typing import Any

import pytest

from landlord_test_target.landlord import BACKING_OFF, SUCCEEDED, ApiUser, ScriptedDispatcher


async def names(landlord: ApiUser, query: str = "") -> list[str]:
    answer = await landlord.call("GET", f"/v1/tenants?{query}")
    return [tenant["name"] for tenant in answer.body["tenants"]]


async def made(landlord: ApiUser, *tenants: str) -> list[str]:
    ids = []
    for name in tenants:
        ids.append(await landlord.create(name))
        await landlord.wait_fields(ids[-1], status="provisioning")
    return ids


async def test_the_newest_come_first_and_the_total_counts_all_pages(landlord: ApiUser) -> None:
    for name in ("a", "b", "c"):
        await landlord.create(name)

    answer: dict[str, Any] = (await landlord.call("GET", "/v1/tenants?limit=1&offset=1")).body

    assert [tenant["name"] for tenant in answer["tenants"]] == ["b"]
    assert (answer["total"], answer["limit"], answer["offset"]) == (3, 1, 1)
    assert await names(landlord) == ["c", "b", "a"]


async def test_an_empty_list_is_written_as_a_list(landlord: ApiUser) -> None:
    answer = await landlord.call("GET", "/v1/tenants")

    assert answer.body == {"tenants": [], "total": 0, "limit": 50, "offset": 0}


async def test_archived_tenants_are_listed_only_when_asked_for(
    landlord: ApiUser, dispatcher: ScriptedDispatcher
) -> None:
    dispatcher.default_answer = SUCCEEDED
    tenant = await landlord.create("old")
    await landlord.wait_fields(tenant, status="ready")
    await landlord.archive(tenant)
    await landlord.wait_fields(tenant, status="archived")

    assert await names(landlord) == []
    assert await names(landlord, "include_deleted=f") == []
    assert await names(landlord, "include_deleted=true") == ["old"]


async def test_tenants_are_filtered_by_the_state_of_their_execution(
    landlord: ApiUser, dispatcher: ScriptedDispatcher
) -> None:
    _, second = await made(landlord, "a", "b")
    dispatcher.answers["inv_2"] = BACKING_OFF
    await landlord.wait_fields(second, workflow_sub_state="backing-off")

    assert await names(landlord, "workflow_sub_state=backing-off") == ["b"]
    assert await names(landlord, "workflow_sub_state=running,%20waiting") == ["a"]
    assert await names(landlord, "min_retry_count=4") == ["b"]
    assert await names(landlord, "min_retry_count=5") == []


async def test_no_tenant_ever_has_a_workflow_error(landlord: ApiUser) -> None:
    await landlord.create("a")

    assert await names(landlord, "has_workflow_error=true") == []
    assert await names(landlord, "has_workflow_error=false") == ["a"]


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("limit=0", "Invalid limit parameter"),
        ("limit=1_0", "Invalid limit parameter"),
        ("offset=-1", "Invalid offset parameter"),
        ("include_deleted=yes", "Invalid include_deleted parameter"),
        ("workflow_sub_state=lazy", "Invalid workflow_sub_state parameter"),
        ("has_workflow_error=2", "Invalid has_workflow_error parameter"),
        ("min_retry_count=x", "Invalid min_retry_count parameter"),
    ],
)
async def test_a_parameter_that_is_not_understood_is_refused(
    landlord: ApiUser, query: str, error: str
) -> None:
    answer = await landlord.call("GET", f"/v1/tenants?{query}")

    assert answer.error == (400, error)
