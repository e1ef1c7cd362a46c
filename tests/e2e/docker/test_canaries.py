"""Secrets of a tenant with a container appear only where they are needed."""

import pytest

from landlord_test_target.canaries import (
    Canaries,
    SecretsCheck,
    check_no_secret,
    collect_outputs,
    run_malformed_landlord,
)
from landlord_test_target.docker import SETTINGS, WEB
from landlord_test_target.harness import Harness


@pytest.mark.long
async def test_a_secret_appears_only_in_restates_copy_of_the_body(
    dedicated_harness: Harness,
) -> None:
    canaries = Canaries()
    section = {**SETTINGS, "image": f"{WEB}:1"}
    check = SecretsCheck(
        harness=dedicated_harness, canaries=canaries, engine="docker", section=section
    )

    with run_malformed_landlord(canaries) as api:
        documents, bodies = await collect_outputs(check, api)

    check_no_secret(canaries, documents, bodies)
