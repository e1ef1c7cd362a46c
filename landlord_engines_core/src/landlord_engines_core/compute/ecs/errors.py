"""Translation of AWS's errors to `ComputeError`.

Error codes and action names are passed on. AWS's messages are not: they may quote a configuration.
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

__all__ = ["NotFound", "translate_errors"]

_ABSENT = (
    "ClusterNotFoundException",
    "ResourceNotFoundException",
    "ServiceNotActiveException",
    "ServiceNotFoundException",
)
_TRANSIENT = (
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
_BAD_CREDENTIALS = (
    "IncompleteSignature",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
)
_STS_ACTIONS = ("AssumeRole", "GetCallerIdentity")
_SERVER_ERROR = 500
_TOO_MANY_REQUESTS = 429


class NotFound(ComputeRefused):
    """A cluster or a service that ECS does not have, or no longer has."""


@contextmanager
def translate_errors() -> Iterator[None]:
    """Translate errors of AWS and its client to `ComputeError`.

    Raises:
        NotFound: The cluster or the service does not exist.
        ComputeRefused: Only another configuration, or another permission, helps.
        ComputeUnavailable: Another attempt may succeed.
    """
    try:
        yield
    except ClientError as error:
        raise _to_error(error) from error
    except (ParamValidationError, ValidationError) as error:
        raise ComputeRefused("the configuration has a value that AWS does not accept") from error
    except NoCredentialsError as error:
        raise ComputeUnavailable(
            "the worker has no AWS credentials",
            hint="give the worker a role, or credentials in a form that the AWS CLI reads",
        ) from error
    except ComputeError:
        raise
    except Exception as error:
        # If the answer does not come from AWS, botocore raises any error of its parser.
        raise ComputeUnavailable(f"AWS gave no usable answer: {type(error).__name__}") from error


def _to_error(error: ClientError) -> ComputeError:
    action = f"{'sts' if error.operation_name in _STS_ACTIONS else 'ecs'}:{error.operation_name}"
    code = _code(error)
    answer = error.response.get("ResponseMetadata", {})
    status = answer.get("HTTPStatusCode", 0)
    if code in _ABSENT:
        return NotFound(f"AWS refuses {action}: {code}")
    if code in _TRANSIENT or status >= _SERVER_ERROR or status == _TOO_MANY_REQUESTS:
        return ComputeUnavailable(
            f"AWS cannot do {action} now: {code}",
            retry_after=_parse_retry_after(answer.get("HTTPHeaders", {})),
        )
    return ComputeRefused(f"AWS refuses {action}: {code}", hint=_hint(code, action))


def _parse_retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that ``Retry-After`` asks for (RFC 9110), or ``None``."""
    value = headers.get("retry-after", "")
    if value.isdecimal():
        seconds = float(value)
    else:
        try:
            # Counted from the answer's Date header: the clocks of AWS and the worker may differ.
            until, now = map(parsedate_to_datetime, (value, headers.get("date", "")))
            seconds = (until - now).total_seconds()
        except (ValueError, TypeError):
            return None
    # Zero would mean a retry at once; without a value the worker engine's growing pauses apply.
    return seconds if seconds > 0 else None


def _code(error: ClientError) -> str:
    # A proxy in place of AWS could put any text there.
    code = str(error.response.get("Error", {}).get("Code", ""))
    return code if re.fullmatch(r"[A-Za-z0-9.]{1,80}", code) else "no code of AWS"


def _hint(code: str, action: str) -> str:
    if code in _DENIED:
        return f"allow {action} to the role that the worker uses for this tenant"
    if code in _BAD_CREDENTIALS:
        return "correct the worker's AWS credentials"
    return "change the tenant's configuration"
