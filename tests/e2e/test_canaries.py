"""Secrets appear only in Restate's copy of a job's body."""

import pytest

from landlord_test_target.canaries import (
    ALL_COMMANDS,
    QUICK_COMMANDS,
    Canaries,
    SecretsCheck,
    check_no_secret,
    collect_outputs,
    run_malformed_landlord,
    secret_env,
)
from landlord_test_target.harness import Harness


def command(canaries: Canaries, place: str) -> dict[str, object]:
    return {"command": ["sleep", "600"], **secret_env(canaries, place)}


@pytest.mark.parametrize(
    "engine",
    [
        pytest.param("mock", marks=pytest.mark.long),
        "target",
        pytest.param("process", marks=pytest.mark.long),
    ],
)
async def test_a_secret_appears_only_in_restates_copy_of_the_body(
    dedicated_harness: Harness, engine: str
) -> None:
    canaries = Canaries()
    takes, section = secret_env, {}
    if engine == "process":
        takes, section = command, {"folder": str(dedicated_harness.folder / "process")}
    check = SecretsCheck(
        harness=dedicated_harness,
        canaries=canaries,
        engine=engine,
        build_config=takes,
        section=section,
        commands=QUICK_COMMANDS if engine == "target" else ALL_COMMANDS,
    )

    with run_malformed_landlord(canaries) as api:
        outputs, bodies = await collect_outputs(check, api)

    check_no_secret(canaries, outputs, bodies)
