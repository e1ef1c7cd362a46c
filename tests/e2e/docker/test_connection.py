"""A Docker daemon behind TLS, with certificates on both sides, as Docker's own clients reach it."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from landlord_engines_core.compute import ResourceState
from landlord_engines_core.compute.docker.engine import DockerCompute
from landlord_engines_core.errors import ComputeUnavailable
from landlord_test_target.docker import TenantContainers, run_command, spec
from landlord_test_target.tcp_server import relay, run_tcp_server

MakeEngine = Callable[..., DockerCompute]

SOCKET = "/var/run/docker.sock"


def certify(folder: Path, name: str, *, by: Path) -> None:
    """Create a key and a certificate for 127.0.0.1, signed by an authority."""
    more = folder / f"{name}.ext"
    more.write_text("subjectAltName=IP:127.0.0.1\n")
    key, request, cert = (str(folder / f"{name}{end}") for end in (".key", ".csr", ".crt"))
    run_command(
        "openssl",
        "req",
        "-new",
        "-nodes",
        "-newkey",
        "ec:" + str(by / "params"),
        "-keyout",
        key,
        "-out",
        request,
        "-subj",
        f"/CN={name}",
    )
    authority = ("-CA", str(by / "ca.pem"), "-CAkey", str(by / "ca.key"), "-CAcreateserial")
    run_command(
        "openssl",
        "x509",
        "-req",
        "-in",
        request,
        *authority,
        "-days",
        "2",
        "-extfile",
        str(more),
        "-out",
        cert,
    )


def authority(folder: Path) -> Path:
    folder.mkdir()
    run_command("openssl", "ecparam", "-name", "prime256v1", "-out", str(folder / "params"))
    run_command(
        "openssl",
        "req",
        "-x509",
        "-nodes",
        "-newkey",
        f"ec:{folder}/params",
        "-keyout",
        str(folder / "ca.key"),
        "-out",
        str(folder / "ca.pem"),
        "-days",
        "2",
        "-subj",
        "/CN=authority",
    )
    return folder


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """A folder in the form of DOCKER_CERT_PATH, and the server's certificate."""
    folder = authority(tmp_path / "certificates")
    for name in ("server", "client"):
        certify(folder, name, by=folder)
    (folder / "cert.pem").write_bytes((folder / "client.crt").read_bytes())
    (folder / "key.pem").write_bytes((folder / "client.key").read_bytes())
    return folder


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await relay(reader, writer, await asyncio.open_unix_connection(SOCKET))


@pytest_asyncio.fixture(loop_scope="session")
async def address(certificates: Path) -> AsyncIterator[str]:
    """The address of a daemon that accepts clients with a certificate of the authority over TLS."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificates / "ca.pem")
    context.load_cert_chain(certificates / "server.crt", certificates / "server.key")
    context.verify_mode = ssl.CERT_REQUIRED

    async with run_tcp_server(serve, ssl=context) as port:
        yield f"127.0.0.1:{port}"


@pytest.mark.parametrize("scheme", ["tcp", "https"])
async def test_a_daemon_behind_tls_is_reached_with_a_clients_certificate(
    make_engine: MakeEngine, tenant: TenantContainers, address: str, certificates: Path, scheme: str
) -> None:
    engine = make_engine(host=f"{scheme}://{address}/", cert_path=str(certificates))

    await engine.provision(spec(tenant.tenant))

    assert len(tenant.ids) == 1
    assert await engine.destroy(tenant.tenant, "")


async def test_without_a_path_the_certificates_are_where_dockers_client_has_them(
    make_engine: MakeEngine,
    address: str,
    certificates: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    certificates.rename(tmp_path / ".docker")
    engine = make_engine(host=f"tcp://{address}", tls_verify=True)

    assert (await engine.inspect("t", "")).state is ResourceState.MISSING


async def test_a_daemon_with_a_certificate_of_another_authority_is_refused(
    make_engine: MakeEngine, address: str, certificates: Path, tmp_path: Path
) -> None:
    other = authority(tmp_path / "other")
    for name in ("cert.pem", "key.pem"):
        (other / name).write_bytes((certificates / name).read_bytes())
    engine = make_engine(host=f"tcp://{address}", cert_path=str(other))

    with pytest.raises(ComputeUnavailable, match="does not answer"):
        await engine.inspect("t", "")


async def test_a_daemon_on_a_plain_port_is_reached_over_tcp(
    make_engine: MakeEngine, tenant: TenantContainers
) -> None:
    async with run_tcp_server(serve) as port:
        engine = make_engine(host=f"tcp://127.0.0.1:{port}")

        await engine.provision(spec(tenant.tenant))

        await engine.aclose()
    assert len(tenant.ids) == 1
