import pytest

from landlord_engines_core.errors import ComputeRefused, ComputeUnavailable
from landlord_test_target.aws import Ecs
from landlord_test_target.compute_engines import ecs_engine


async def test_reach_returns_the_account_from_sts(ecs: Ecs) -> None:
    assert await ecs.engine.reach() == "AWS account 123456789012"


async def test_a_worker_without_credentials_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    engine = ecs_engine({})

    with pytest.raises((ComputeUnavailable, ComputeRefused), match="has no AWS credentials"):
        await engine.reach()

    await engine.aclose()
