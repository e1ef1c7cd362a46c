"""The error boundary replaces whatever an engine's code raises by one kind of error."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from landlord_engines_core.errors import ComputeRefused, EngineFailed
from landlord_engines_core.plugin_calls import ErrorBoundary
from landlord_engines_core.plugin_origins import Origin, _read_owners, find_origin

BOUNDARY = ErrorBoundary(engine="worker engine own", failure=EngineFailed)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A distribution whose engine has this module's name."""
    info = tmp_path / "own-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: own\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[landlord.worker_engines]\nown = {__name__}:x\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    _read_owners.cache_clear()


@pytest.mark.parametrize(
    "error",
    [
        KeyError("sesame"),
        SystemExit(0),
        KeyboardInterrupt("sesame"),
        TimeoutError("sesame"),
        asyncio.CancelledError("sesame"),
        type("Own", (BaseException,), {})("sesame"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_an_engine_raises_is_named_with_its_place_and_without_its_text(
    error: BaseException,
) -> None:
    with pytest.raises(EngineFailed) as caught, BOUNDARY.call("serve"):
        raise error

    kind = type(error).__name__
    assert caught.value.message.startswith(
        f"worker engine own raised {kind} in serve at {__name__}:"
    )
    assert "sesame" not in str(caught.value)
    assert caught.value.hint == "report it to the authors of the worker engine own"
    assert caught.value.__cause__ is error


@pytest.mark.usefixtures("installed")
def test_the_distribution_is_that_of_the_innermost_frame_of_an_engine() -> None:
    with pytest.raises(EngineFailed) as caught, BOUNDARY.call("create_engine"):
        int("sesame".join([]) or Path("/nowhere").read_text())

    # The innermost frame of the error belongs to pathlib.
    assert f"raised FileNotFoundError in create_engine at {__name__}:" in str(caught.value)
    assert str(caught.value).endswith("(own 1.0); report it to the authors of own 1.0")


def test_an_error_without_a_traceback_has_no_place() -> None:
    assert find_origin(ValueError()) == Origin()
    assert str(Origin()) == "an unknown module"


def test_the_errors_of_the_contract_pass_and_so_do_those_that_the_door_names() -> None:
    boundary = ErrorBoundary(
        engine="compute engine own", failure=EngineFailed, allowed_errors=(RecursionError,)
    )

    for error in (ComputeRefused("no"), RecursionError(), GeneratorExit()):
        with pytest.raises(type(error)) as caught, boundary.call("inspect"):
            raise error
        assert caught.value is error


async def test_a_cancellation_passes_only_if_somebody_asked_for_it() -> None:
    async def wait() -> None:
        with BOUNDARY.call("serve"):
            await asyncio.Event().wait()

    asked = asyncio.create_task(wait())
    await asyncio.sleep(0)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked

    with (
        pytest.raises(EngineFailed, match="raised CancelledError in serve"),
        BOUNDARY.call("serve"),
    ):
        raise asyncio.CancelledError


async def register() -> None:
    async with asyncio.timeout(0):
        with BOUNDARY.call("register"):
            await asyncio.Event().wait()


async def test_a_deadline_of_core_is_no_error_of_the_engine() -> None:
    with pytest.raises(TimeoutError):
        await register()


def test_each_call_is_timed_also_one_that_fails() -> None:
    times: list[tuple[str, bool]] = []
    boundary = ErrorBoundary(
        engine="worker engine own",
        failure=EngineFailed,
        observe=lambda method, seconds: times.append((method, 0 <= seconds < 5)),
    )

    with boundary.call("check"):
        pass
    with pytest.raises(EngineFailed), boundary.call("serve"):
        raise KeyError

    assert times == [("check", True), ("serve", True)]


@pytest.mark.parametrize("error", [SystemExit(0), KeyboardInterrupt()])
def test_where_an_engine_handles_its_own_errors_only_exits_are_caught(error: BaseException) -> None:
    with pytest.raises(EngineFailed, match="in a request at"), BOUNDARY.catch_exits("a request"):
        raise error
    with pytest.raises(KeyError), BOUNDARY.catch_exits("a request"):
        raise KeyError
