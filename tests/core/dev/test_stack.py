import pytest
from pytest_httpserver import HTTPServer

from landlord_engines_core.compute import ComputeRegistry
from landlord_engines_core.compute.mock import MockCompute
from landlord_engines_core.dev.stack import _destroy_tenants, _temporary_folder
from landlord_engines_core.errors import ComputeUnavailable, SettingsError


class StuckEngine(MockCompute):
    async def destroy(self, tenant: str, location: str) -> bool:
        await super().destroy(tenant, location)
        if tenant == "stuck":
            raise ComputeUnavailable("it does not end")
        return True


async def test_a_tenant_that_cannot_be_destroyed_is_reported_after_the_others_are_destroyed(
    httpserver: HTTPServer,
) -> None:
    listed = {"tenants": [{"id": "stuck"}, {"id": "other"}]}
    httpserver.expect_request("/v1/tenants").respond_with_json(listed)
    compute = StuckEngine()

    with pytest.raises(ComputeUnavailable, match="it does not end"):
        async with _destroy_tenants(ComputeRegistry({"mock": compute}), httpserver.url_for("/v1")):
            compute.resources["other"] = None  # type: ignore[assignment]  # any object will do

    assert compute.resources == {}


def test_without_a_folder_for_temporary_files_the_setting_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")

    with pytest.raises(SettingsError, match="temporary files") as caught, _temporary_folder():
        pytest.fail("there is a folder")

    assert "TMPDIR" in caught.value.hint
