"""TLS to Landlord's API and to Restate's admin API, with a private certificate authority."""

import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
import pytest_asyncio
import trustme
from pytest_httpserver import HTTPServer

from landlord_test_target.harness import Harness, Worker
from landlord_test_target.tls_proxy import run_tls_proxy


@attrs.frozen(kw_only=True)
class TlsProxies:
    """The two APIs behind TLS, and the file that a worker has to trust."""

    admin: str
    landlord: str
    ca_file: Path

    def config(self, harness: Harness) -> dict[str, Any]:
        config = harness.config(api=self.landlord)
        config["workflow"]["restate"]["admin_endpoint"] = self.admin
        return config

    def worker(self, harness: Harness, **environment: str) -> Worker:
        return Worker(config=self.config(harness), folder=harness.folder, environment=environment)


@pytest.fixture
def landlord() -> Iterator[HTTPServer]:
    with HTTPServer() as server:
        server.expect_request("/v1/tenants").respond_with_json({"tenants": [], "total": 0})
        yield server


def _context(host: str, folder: Path) -> tuple[ssl.SSLContext, Path]:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(host).configure_cert(context)
    ca_file = folder / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    return context, ca_file


@pytest_asyncio.fixture(loop_scope="session")
async def tls_proxies(
    harness: Harness, landlord: HTTPServer, tmp_path: Path
) -> AsyncIterator[TlsProxies]:
    context, ca_file = _context("127.0.0.1", tmp_path)
    async with (
        run_tls_proxy(harness.restate.admin_endpoint, context) as admin,
        run_tls_proxy(landlord.url_for(""), context) as api,
    ):
        yield TlsProxies(admin=admin, landlord=api, ca_file=ca_file)


async def test_a_private_authority_is_trusted_by_the_standard_variable(
    harness: Harness, tls_proxies: TlsProxies
) -> None:
    checked, text = await tls_proxies.worker(
        harness, SSL_CERT_FILE=str(tls_proxies.ca_file)
    ).command("check")

    assert checked == 0, text
    assert f"Landlord: {tls_proxies.landlord}/v1 answers" in text
    assert "registration: " in text


async def test_a_worker_registers_and_works_over_tls(
    harness: Harness, tls_proxies: TlsProxies
) -> None:
    config = tls_proxies.config(harness)
    config["worker"]["compute_provider"] = "mock"
    del config["workflow"]["restate"]["worker_landlord_api_url"]

    worker = await harness.launch(config, SSL_CERT_FILE=str(tls_proxies.ca_file))
    await worker.wait_registered()

    assert await harness.run(harness.tenant(), "provision", "mock") == "created"


async def test_an_unknown_authority_of_landlord_is_refused_with_the_setting(
    harness: Harness, tls_proxies: TlsProxies
) -> None:
    code, text = await tls_proxies.worker(harness).command("check")

    assert code == 3
    assert (
        f"Landlord's API at {tls_proxies.landlord}/v1 shows a certificate that is not trusted"
        in text
    )
    assert "SSL_CERT_FILE" in text
    assert "Traceback" not in text


async def test_an_unknown_authority_of_the_admin_api_is_logged_at_each_try(
    harness: Harness, tls_proxies: TlsProxies
) -> None:
    worker = await harness.launch(tls_proxies.config(harness))

    (line, *_) = await worker.wait_logged("not registered yet")
    assert f"{tls_proxies.admin} shows a certificate that is not trusted" in line["reason"]
    assert "SSL_CERT_FILE" in line["reason"]
    assert await harness.admin.service(harness.service) is None


async def test_a_certificate_for_another_host_is_refused_though_its_authority_is_trusted(
    harness: Harness, landlord: HTTPServer, tmp_path: Path
) -> None:
    context, ca_file = _context("elsewhere.example", tmp_path)
    async with run_tls_proxy(landlord.url_for(""), context) as api:
        tls_proxies = TlsProxies(
            admin=harness.restate.admin_endpoint, landlord=api, ca_file=ca_file
        )
        code, text = await tls_proxies.worker(harness, SSL_CERT_FILE=str(ca_file)).command("check")

    assert code == 3
    assert "not valid for '127.0.0.1'" in text
