import asyncio
import math
from typing import ClassVar

import pytest

from landlord_engines_core.compute import ComputeRegistry
from landlord_engines_core.compute.mock import MockCompute
from landlord_engines_core.compute.targets import Targets, reach
from landlord_engines_core.errors import ComputeRefused
from landlord_engines_core.metrics import Metrics
from landlord_test_target.in_memory import RecordingLogger


class ScriptedMock(MockCompute):
    """A mock engine whose `reach` gives prepared answers."""

    answers: ClassVar[list[str | BaseException]]

    async def reach(self) -> str:
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer


def scripted_engine(*script: str | BaseException) -> ScriptedMock:
    class Engine(ScriptedMock):
        answers: ClassVar[list[str | BaseException]] = list(script)

    return Engine()


async def test_an_engine_without_a_target_is_reached() -> None:
    status = await reach("own", MockCompute())

    assert status.is_reached
    assert status.detail == ""


async def test_an_unexpected_error_of_an_engine_is_reported_without_its_text() -> None:
    status = await reach("own", scripted_engine(KeyError("sesame")))

    assert "compute engine own raised KeyError in reach" in str(status.error)
    assert "sesame" not in str(status.error)


@pytest.mark.parametrize("exits", [SystemExit(0), KeyboardInterrupt()])
async def test_an_engine_that_calls_exit_in_reach_does_not_end_the_worker(
    exits: BaseException,
) -> None:
    status = await reach("own", scripted_engine(exits))

    assert f"compute engine own raised {type(exits).__name__} in reach" in str(status.error)


async def test_a_target_that_gives_no_answer_is_given_up() -> None:
    class Silent(MockCompute):
        async def reach(self) -> str:
            await asyncio.Event().wait()
            return ""

    status = await reach("own", Silent(), 0.01)

    assert "gave no answer in 0.01 s" in str(status.error)


async def test_each_status_that_is_new_is_logged_once_and_the_gauge_shows_it() -> None:
    logger, metrics = RecordingLogger(), Metrics()
    refused = ComputeRefused("denied")
    engine = scripted_engine("v1", "v1", refused, ComputeRefused("denied"), "v1")
    targets = Targets(registry=ComputeRegistry({"own": engine}), logger=logger)
    metrics.engines.watch_targets(targets.registry, targets.gauge_value)
    gauge_values = []

    assert math.isnan(targets.gauge_value("own"))
    for _ in range(5):
        await targets.check()
        gauge_values.append(targets.gauge_value("own"))

    assert gauge_values == [1, 1, 0, 0, 1]
    assert [event for _, event, _ in logger.lines] == [
        "target reached",
        "target not reached",
        "target reached",
    ]
    assert 'landlord_worker_target_reached{compute_engine="own"} 1.0' in str(
        metrics.families.render()[0]
    )


@pytest.mark.parametrize("interval", [0.0])
async def test_targets_are_checked_again_until_the_worker_ends(interval: float) -> None:
    again = asyncio.Event()

    class Counting(MockCompute):
        async def reach(self) -> str:
            checks.append(1)
            if len(checks) > 1:
                again.set()
            return ""

    checks: list[int] = []
    registry = ComputeRegistry({"own": Counting()})
    targets = Targets(registry=registry, logger=RecordingLogger(), interval=interval)

    async with targets.watch():
        await again.wait()
    before = len(checks)
    await asyncio.sleep(0)

    assert len(checks) == before
