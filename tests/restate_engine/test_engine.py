import json
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from landlord_engines_core.engine import Capability, EngineContext, HostInfo, TenantStatus
from landlord_engines_core.errors import SettingsError
from landlord_engines_core.settings import Url
from landlord_engines_restate import RestateEngine, RestateSettings, factory
from landlord_test_target.in_memory import RecordingLogger, build_tenant_jobs

KEY = "publickeyv1_w7YHemBctH5Ck2nQRQ47iBBqhNHy4FV7t2Usbye2A6f"


def engine(
    logger: RecordingLogger | None = None, url: str = "http://127.0.0.1:9", **settings: object
) -> RestateEngine:
    context = EngineContext(
        settings=RestateSettings(admin_endpoint=Url(url), **settings),  # type: ignore[arg-type]
        run_job=build_tenant_jobs().run,
        resync=build_tenant_jobs().resync,
        is_desired=build_tenant_jobs().is_desired,
        logger=logger if logger is not None else RecordingLogger(),
        host=HostInfo(),
    )
    restate_engine = factory.create_engine(context)
    assert isinstance(restate_engine, RestateEngine)
    return restate_engine


def test_every_capability_is_supported() -> None:
    assert all(factory.info.supports(capability) for capability in Capability)


async def test_settings_that_do_not_fit_are_refused_when_the_engine_is_created() -> None:
    with pytest.raises(SettingsError, match="is not host:port"):
        engine(worker_address="nowhere")


async def test_with_identity_keys_nobody_is_warned_of_missing_signatures() -> None:
    signed, unsigned = RecordingLogger(), RecordingLogger()

    engine(signed, identity_keys=(KEY,))._warn_about_settings()
    engine(unsigned)._warn_about_settings()

    assert signed.events("warning") == []
    assert unsigned.events("warning") == ["requests are not checked for Restate's signature"]


async def test_tenants_are_read_from_the_admin_api_and_jobs_are_retried_there(
    httpserver: HTTPServer,
) -> None:
    rows = {"rows": []}  # type: ignore[var-annotated]
    text = json.dumps(rows, separators=(",", ":"))
    httpserver.expect_request("/query").respond_with_data(text)
    httpserver.expect_request("/invocations/inv_1/resume", method="PATCH").respond_with_data("")
    httpserver.expect_request("/invocations/inv_2/resume").respond_with_data("", status=404)
    restate_engine = engine(url=httpserver.url_for(""))

    assert [tenant async for tenant in restate_engine.list_tenants()] == []
    assert await restate_engine.read_tenant("t") == TenantStatus(tenant="t")
    assert await restate_engine.retry_job("inv_1")
    assert not await restate_engine.retry_job("inv_2")
    await restate_engine.shutdown(0)


async def test_a_shutdown_before_anything_else_is_no_error() -> None:
    restate_engine = engine()

    await restate_engine.shutdown(0)
    await restate_engine.shutdown(0)


async def test_the_local_backend_is_a_restate_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    binary = tmp_path / "restate-server"
    binary.write_text("#!/bin/sh\nexit 3\n")
    binary.chmod(0o755)

    assert factory.local_backend is not None
    with pytest.raises(Exception, match="ended with status 3"):
        async with factory.local_backend(RestateSettings(), tmp_path / "data"):
            pytest.fail("it cannot start")
