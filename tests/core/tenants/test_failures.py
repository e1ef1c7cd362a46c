import pytest

from landlord_engines_core.compute.guarded import build_compute_boundary
from landlord_engines_core.errors import (
    ComputeRefused,
    ComputeUnavailable,
    Held,
    InvalidJob,
    JobError,
    LandlordUnavailable,
    Superseded,
    Transient,
)
from landlord_engines_core.tenants.failures import Failures
from landlord_test_target.in_memory import RecordingLogger


def translate(error: Exception, *, permanently: bool = False) -> JobError:
    failures = Failures(
        hold_retry_interval=30, fail_permanently=permanently, logger=RecordingLogger()
    )
    with pytest.raises(JobError) as caught, failures.translate_errors("apply"):
        raise error
    return caught.value


def test_a_refusal_holds_the_job() -> None:
    error = translate(ComputeRefused("no image", hint="set it"))

    assert isinstance(error, Held)
    assert (error.message, error.hint, error.retry_after) == ("no image", "set it", 30)


def test_a_refusal_ends_the_job_if_the_operator_sets_it_so() -> None:
    error = translate(ComputeRefused("no image"), permanently=True)

    assert isinstance(error, InvalidJob)
    assert error.status == 422


@pytest.mark.parametrize(
    ("cause", "pause"),
    [
        (ComputeUnavailable("away"), None),
        (ComputeUnavailable("busy", retry_after=7), 7),
        (LandlordUnavailable("away"), None),
        (TimeoutError(), None),
    ],
)
def test_a_temporary_failure_is_transient(cause: Exception, pause: float | None) -> None:
    error = translate(cause)

    assert isinstance(error, Transient)
    assert error.retry_after == pause


def test_an_error_of_the_job_itself_is_passed_on() -> None:
    error = Superseded("younger")

    assert translate(error) is error


def test_a_defect_is_reported_by_type_and_location_and_never_by_its_text() -> None:
    error = translate(KeyError("sesame"))

    assert isinstance(error, Transient)
    assert f"step apply raised KeyError at {__name__}:" in str(error)
    assert "sesame" not in str(error)


def test_a_configuration_that_is_nested_too_deeply_is_held() -> None:
    assert isinstance(translate(RecursionError("maximum depth")), Held)


def test_a_compute_engine_that_calls_exit_is_reported_and_does_not_end_the_worker() -> None:
    logger = RecordingLogger()
    failures = Failures(hold_retry_interval=30, fail_permanently=False, logger=logger)

    with pytest.raises(Transient, match="step apply raised SystemExit at"):
        _exit_in(failures)

    ((level, event, values),) = logger.lines
    assert (level, event) == ("error", "step crashed")
    assert (values["error"], values["module"]) == ("SystemExit", __name__)
    assert values["line"]


def test_a_defect_of_a_compute_engine_is_reported_by_its_own_line() -> None:
    logger = RecordingLogger()
    failures = Failures(hold_retry_interval=30, fail_permanently=False, logger=logger)

    with pytest.raises(Transient, match="compute engine own raised KeyError in provision at"):
        _break_in(failures)

    ((level, event, values),) = logger.lines
    assert (level, event) == ("error", "step crashed")
    assert (values["error"], values["code"]) == ("KeyError", "LE403")


def _exit_in(failures: Failures) -> None:
    with failures.translate_errors("apply"):
        raise SystemExit(0)


def _break_in(failures: Failures) -> None:
    with failures.translate_errors("apply"), build_compute_boundary("own").call("provision"):
        raise KeyError("sesame")
