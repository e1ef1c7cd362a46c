import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from landlord_engines_core.compute.process.ports import PortClaims
from landlord_engines_core.compute.process.settings import Ports
from landlord_engines_core.errors import ComputeRefused, ComputeUnavailable
from landlord_test_target.harness import free_port


def claims(folder: Path, name: str, ports: Ports) -> PortClaims:
    (folder / name).mkdir(exist_ok=True)
    return PortClaims(folder / name, ports)


@pytest.fixture
def used_port() -> Iterator[int]:
    """A port on which an unrelated process listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def one_port() -> Ports:
    """A range of one free port."""
    port = free_port()
    return Ports(first=port, last=port)


def test_a_chosen_port_is_in_the_range_and_belongs_to_one_tenant(tmp_path: Path) -> None:
    ports = Ports(first=21_000, last=21_999)

    chosen = [claims(tmp_path, str(n), ports).claim_free(0, current=0) for n in range(50)]

    assert len(set(chosen)) == 50
    assert all(21_000 <= port <= 21_999 for port in chosen)


def test_a_tenant_gets_the_port_that_it_claimed_before_a_crash(tmp_path: Path) -> None:
    ports = Ports()

    assert claims(tmp_path, "a", ports).claim_free(0, current=0) == claims(
        tmp_path, "a", ports
    ).claim_free(0, current=0)


def test_a_former_port_is_preferred(tmp_path: Path, one_port: Ports) -> None:
    assert claims(tmp_path, "a", Ports()).claim_free(one_port.first, current=0) == one_port.first


def test_a_port_that_an_unrelated_process_uses_is_skipped(
    tmp_path: Path, used_port: int, one_port: Ports
) -> None:
    assert claims(tmp_path, "a", one_port).claim_free(used_port, current=0) == one_port.first


def test_the_port_that_the_tenants_own_process_has_is_kept(tmp_path: Path, used_port: int) -> None:
    tenant = claims(tmp_path, "a", Ports())

    assert tenant.claim_free(used_port, current=used_port) == used_port
    assert tenant.claim_fixed(used_port, current=used_port) == used_port


def test_a_range_that_is_used_up_is_reported(tmp_path: Path, one_port: Ports) -> None:
    claims(tmp_path, "a", one_port).claim_free(0, current=0)

    with pytest.raises(ComputeUnavailable, match="no port is free"):
        claims(tmp_path, "b", one_port).claim_free(0, current=0)


def test_a_fixed_port_belongs_to_one_tenant(tmp_path: Path, one_port: Ports) -> None:
    claims(tmp_path, "a", one_port).claim_fixed(one_port.first, current=0)

    with pytest.raises(ComputeRefused, match="belongs to another tenant"):
        claims(tmp_path, "b", one_port).claim_fixed(one_port.first, current=0)


def test_a_fixed_port_used_by_an_unrelated_process_is_a_temporary_failure(
    tmp_path: Path, used_port: int
) -> None:
    with pytest.raises(ComputeUnavailable, match="in use by another process"):
        claims(tmp_path, "a", Ports()).claim_fixed(used_port, current=0)


def test_released_ports_are_only_those_of_the_tenant(tmp_path: Path, one_port: Ports) -> None:
    tenant, other = claims(tmp_path, "a", Ports()), claims(tmp_path, "b", one_port)
    first = tenant.claim_free(0, current=0)
    other.claim_fixed(one_port.first, current=0)
    with pytest.raises(ComputeRefused):
        tenant.claim_fixed(one_port.first, current=0)

    tenant.release_others(first)
    assert {path.name for path in (tmp_path / "ports").iterdir()} == {
        str(first),
        str(one_port.first),
    }

    tenant.release_others()
    assert {path.name for path in (tmp_path / "ports").iterdir()} == {str(one_port.first)}


def test_a_deleted_claim_of_a_port_blocks_nobody(tmp_path: Path) -> None:
    tenant = claims(tmp_path, "a", Ports())
    port = tenant.claim_free(0, current=0)
    (tmp_path / "ports" / str(port)).unlink()

    tenant.release_others()

    assert list((tmp_path / "a" / "ports").iterdir()) == []


def test_a_tenant_without_claims_releases_nothing(tmp_path: Path) -> None:
    claims(tmp_path, "a", Ports()).release_others()
