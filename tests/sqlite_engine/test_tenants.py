"""The example lists each tenant once, with all of its open jobs."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from landlord_engine_sqlite.store import Lock, Store
from landlord_engine_sqlite.tenants import list_tenants, read_tenant
from landlord_engines_core.models import Record


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(tmp_path / "jobs")) as store:
        yield store


def send_waiting(store: Store, tenant: str) -> str:
    """Queue a job whose first attempt fails before it has the tenant's lock."""
    store.send(b"{}")
    job = store.claim("worker", 60)
    assert job is not None
    store.release(job, "open", f"LE402: no (tenant {tenant})", pause=60)
    return str(job.id)


def ids(store: Store) -> list[tuple[str, list[str]]]:
    return [
        (status.tenant, [job.execution_id for job in status.jobs]) for status in list_tenants(store)
    ]


def test_a_tenant_has_all_of_its_waiting_jobs(store: Store) -> None:
    older, other, younger = (send_waiting(store, tenant) for tenant in ("b", "a", "b"))

    assert ids(store) == [("a", [other]), ("b", [older, younger])]
    assert [job.execution_id for job in read_tenant(store, "b").jobs] == [older, younger]


def test_a_tenant_whose_row_only_a_resync_wrote_is_listed_once(store: Store) -> None:
    store.write_lock("b", Lock(resync=7, record=Record(name="of the row")))
    job = send_waiting(store, "b")

    assert ids(store) == [("b", [job])]
    assert next(list_tenants(store)).record.name == "of the row"
    assert read_tenant(store, "nobody").jobs == ()
