"""Translation of the errors inside a step to errors that end, hold or retry the job."""

from collections.abc import Iterator
from contextlib import contextmanager

import attrs

from landlord_engines_core.errors import (
    ComputeDefect,
    ComputeRefused,
    ComputeUnavailable,
    Held,
    InvalidJob,
    JobError,
    LandlordUnavailable,
    Transient,
)
from landlord_engines_core.logs import Logger, error_fields
from landlord_engines_core.plugin_origins import find_origin

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
        except ComputeDefect as error:
            broken = Transient(error.message, hint=error.hint)
            self._log_crash(step, broken, error.__cause__ or error)
            raise broken from None
        except (Exception, SystemExit, KeyboardInterrupt) as error:  # noqa: BLE001  # any defect
            # Of this worker, or of the worker engine's steps: those of compute engines are above.
            origin = find_origin(error)
            broken = Transient(
                f"step {step} raised {type(error).__name__} at {origin}",
                hint=f"report this defect to the authors of {origin.distribution or 'the worker'}",
            )
            self._log_crash(step, broken, error)
            raise broken from None

    def _log_crash(self, step: str, broken: Transient, error: BaseException) -> None:
        """Log the type and the place of an error: its text may contain values of a configuration."""
        origin = find_origin(error)
        self.logger.error(
            "step crashed",
            step=step,
            code=broken.code,
            error=type(error).__name__,
            module=origin.module,
            line=origin.line,
            distribution=origin.distribution,
        )

    def _refuse(self, step: str, error: ComputeRefused) -> JobError:
        refused: JobError
        if self.fail_permanently:
            refused = InvalidJob(error.message, hint=error.hint, status=422)
        else:
            refused = Held(error.message, hint=error.hint, retry_after=self.hold_retry_interval)
        self.logger.warning("step refused", step=step, **error_fields(refused))
        return refused
