"""Translation of the errors inside a step to errors that end, hold or retry the job."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import attrs

from landlord_engines_core.errors import (
    ComputeRefused,
    ComputeUnavailable,
    ExitAttempted,
    Held,
    InvalidJob,
    JobError,
    LandlordUnavailable,
    Transient,
    catch_exits,
)
from landlord_engines_core.logs import Logger, error_fields

__all__ = ["Failures"]


@attrs.frozen(kw_only=True)
class Failures:
    """Decides how a job fails by the type of an error, and never by the code that raised it.

    Attributes:
        hold_retry_interval: Seconds between two attempts of a held job.
        fail_permanently: Whether a job ends instead of being held.
        logger: Receives each failure, once per attempt.
    """

    hold_retry_interval: float
    fail_permanently: bool
    logger: Logger

    @contextmanager
    def translate_errors(self, step: str) -> Iterator[None]:
        """Raise a JobError in place of any other error; a cancellation passes.

        An unexpected error becomes a Transient.

        Raises:
            InvalidJob: The job ends.
            Held: The configuration is refused, and the job waits for another one.
            Transient: Another attempt may succeed.
            Superseded: A younger job has the tenant's lock.
        """
        try:
            with catch_exits():
                yield
        except JobError:
            raise
        except ComputeRefused as error:
            raise self._refuse(step, error) from error
        except RecursionError as error:
            deep = ComputeRefused("the configuration is nested too deeply", hint="flatten it")
            raise self._refuse(step, deep) from error
        except (ComputeUnavailable, LandlordUnavailable) as error:
            retry_after = getattr(error, "retry_after", None)
            failed = Transient(error.message, hint=error.hint, retry_after=retry_after)
            self.logger.warning("step failed", step=step, **error_fields(failed))
            raise failed from error
        except TimeoutError as error:
            late = Transient(f"step {step} took longer than worker.step_timeout")
            self.logger.warning("step took too long", step=step, code=late.code)
            raise late from error
        except Exception as error:  # noqa: BLE001  # a compute engine may raise any
            # Only its type and location are logged: its text may contain values of a configuration.
            defect = error.__cause__ if isinstance(error, ExitAttempted) else error
            location, kind = _location(defect), type(defect).__name__
            module = _module(defect)
            broken = Transient(
                f"step {step} raised {kind} at {location}",
                hint="report this defect of the compute engine or the worker",
            )
            self.logger.error(  # noqa: TRY400  # a traceback may quote a configuration
                "step crashed",
                step=step,
                code=broken.code,
                error=kind,
                location=location,
                module=module,
            )
            raise broken from None

    def _refuse(self, step: str, error: ComputeRefused) -> JobError:
        refused: JobError
        if self.fail_permanently:
            refused = InvalidJob(error.message, hint=error.hint, status=422)
        else:
            refused = Held(error.message, hint=error.hint, retry_after=self.hold_retry_interval)
        self.logger.warning("step refused", step=step, **error_fields(refused))
        return refused


def _location(error: BaseException | None) -> str:
    """Name the function and the line where an error was raised, without any path."""
    frames = traceback.extract_tb(error.__traceback__) if error is not None else None
    return f"{frames[-1].name}:{frames[-1].lineno}" if frames else "an unknown location"


def _module(error: BaseException | None) -> str:
    """Name the module in which an error was raised; its first part names the distribution."""
    frames = list(traceback.walk_tb(error.__traceback__)) if error is not None else []
    return str(frames[-1][0].f_globals.get("__name__", "")) if frames else ""
