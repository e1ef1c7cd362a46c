"""Secrets appear only in Restate's copy of a job's body."""

import pytest

from landlord_test_target.canaries import (
    Canaries,
    Scene,
    check_nowhere,
    env,
    searched,
    wrong_landlord,
)
from landlord_test_target.harness import World


def command(canaries: Canaries, where: str) -> dict[str, object]:
    return {"command": ["sleep", "600"], **env(canaries, where)}


@pytest.mark.parametrize(
    "engine",
    [
        pytest.param("mock", marks=pytest.mark.long),
        "target",
        pytest.param("process", marks=pytest.mark.long),
    ],
)
async def test_a_secret_appears_only_in_restates_copy_of_the_body(
    own_world: World, engine: str
) -> None:
    canaries = Canaries()
    takes, section = env, {}
    if engine == "process":
        takes, section = command, {"folder": str(own_world.folder / "process")}
    scene = Scene(world=own_world, canaries=canaries, engine=engine, takes=takes, section=section)

    with wrong_landlord(canaries) as api:
        outputs, bodies = await searched(scene, api)

    check_nowhere(canaries, outputs, bodies)
