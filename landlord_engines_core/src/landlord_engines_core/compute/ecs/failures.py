"""What goes wrong with AWS, in this project's errors; the door to botocore's own.

No text of AWS is passed on: it may quote a configuration. Its codes and the name of the action are.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.utils import parsedate_to_datetime

from botocore.exceptions import (
    ClientError,
    NoCredentialsError,
    ParamValidationError,
    ValidationError,
)

from landlord_engines_core.errors import ComputeError, ComputeRefused, ComputeUnavailable

__all__ = ["NotThere", "translated"]

_ABSENT = (
    "ClusterNotFoundException",
    "ResourceNotFoundException",
    "ServiceNotActiveException",
    "ServiceNotFoundException",
)
_BUSY = (
    "ExpiredToken",
    "ExpiredTokenException",
    "RequestLimitExceeded",
    "RequestTimeout",
    "ServerException",
    "ServiceUnavailable",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
)
_DENIED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation")
_UNKNOWN = (
    "IncompleteSignature",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
)
_OF_STS = ("AssumeRole", "GetCallerIdentity")
_SERVER_ERROR = 500
_TOO_MANY = 429


class NotThere(ComputeRefused):
    """The cluster or the service that was asked for is not there, or no longer."""


@contextmanager
def translated() -> Iterator[None]:
    """Raise what AWS and its client raise as errors of this project.

    Raises:
        NotThere: There is no such cluster, or no such service.
        ComputeRefused: Only another configuration, or another permission, helps.
        ComputeUnavailable: Another try may help.
    """
    try:
        yield
    except ClientError as error:
        raise _answered(error) from error
    except (ParamValidationError, ValidationError) as error:
        raise ComputeRefused("the configuration has a value that AWS does not take") from error
    except NoCredentialsError as error:
        raise ComputeUnavailable(
            "the worker has no AWS credentials",
            hint="give it a role, or credentials as AWS's own tools read them",
        ) from error
    except ComputeError:
        raise
    except Exception as error:
        # Connections fail as errors of their own, but over an odd answer botocore just stumbles.
        raise ComputeUnavailable(f"AWS gave no usable answer: {type(error).__name__}") from error


def _answered(error: ClientError) -> ComputeError:
    action = f"{'sts' if error.operation_name in _OF_STS else 'ecs'}:{error.operation_name}"
    code = _code(error)
    answer = error.response.get("ResponseMetadata", {})
    status = answer.get("HTTPStatusCode", 0)
    if code in _ABSENT:
        return NotThere(f"AWS refuses {action}: {code}")
    if code in _BUSY or status >= _SERVER_ERROR or status == _TOO_MANY:
        return ComputeUnavailable(
            f"AWS cannot do {action} now: {code}", retry_after=_pause(answer.get("HTTPHeaders", {}))
        )
    return ComputeRefused(f"AWS refuses {action}: {code}", hint=_hint(code, action))


def _pause(headers: Mapping[str, str]) -> float | None:
    """The seconds that ``Retry-After`` asks for, RFC 9110: a number, or a date by the same clock."""
    asked = headers.get("retry-after", "")
    if asked.isdecimal():
        seconds = float(asked)
    else:
        try:
            until, now = map(parsedate_to_datetime, (asked, headers.get("date", "")))
            seconds = (until - now).total_seconds()
        except (ValueError, TypeError):
            return None
    # Without a pause of its own an error is tried again after growing ones, and not at once.
    return seconds if seconds > 0 else None


def _code(error: ClientError) -> str:
    """AWS's code; who answers instead of AWS could put anything there."""
    code = str(error.response.get("Error", {}).get("Code", ""))
    return code if re.fullmatch(r"[A-Za-z0-9.]{1,80}", code) else "no code of AWS"


def _hint(code: str, action: str) -> str:
    if code in _DENIED:
        return f"allow {action} to the role that the worker uses for this tenant"
    if code in _UNKNOWN:
        return "correct the worker's AWS credentials"
    return "change the tenant's configuration"
