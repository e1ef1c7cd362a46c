"""Recognizing the variables that Kubernetes and Docker's links inject for each service.

A Service called ``workflow-restate`` puts ``WORKFLOW_RESTATE_PORT=tcp://10.0.0.1:8080`` and six more
into every pod of its namespace (Kubernetes' documentation, "Service", environment variables).
"""

import re
from collections.abc import Mapping
from ipaddress import ip_address

__all__ = ["is_service_variable"]

_PROTOCOLS = "TCP|UDP|SCTP"
_URL = re.compile(rf"(?:{_PROTOCOLS.lower()})://\S+:[0-9]+")
_NUMBER = re.compile(r"[0-9]+")
_PROTOCOL = re.compile(_PROTOCOLS.lower())

_FORMS: tuple[tuple[re.Pattern[str], re.Pattern[str] | None], ...] = tuple(
    (re.compile(rf"(?P<service>.+?)_{suffix}"), value)
    for suffix, value in (
        ("SERVICE_HOST", None),
        ("SERVICE_PORT(?:_.+)?", _NUMBER),
        ("PORT", _URL),
        (f"PORT_[0-9]+_(?:{_PROTOCOLS})", _URL),
        (f"PORT_[0-9]+_(?:{_PROTOCOLS})_PROTO", _PROTOCOL),
        (f"PORT_[0-9]+_(?:{_PROTOCOLS})_PORT", _NUMBER),
        (f"PORT_[0-9]+_(?:{_PROTOCOLS})_ADDR", None),
    )
)
"""Forms of a name and of its value; ``None`` stands for an IP address."""


def is_service_variable(
    name: str, environment: Mapping[str, str], *, is_setting: bool = False
) -> bool:
    """Whether a variable has the name and the value of an injected one.

    Args:
        name: The variable's name.
        environment: All variables.
        is_setting: Whether a setting has this name too. The service's host variable must exist then.
    """
    for form, value in _FORMS:
        match = form.fullmatch(name)
        if match and _fits(environment[name], value):
            return not is_setting or f"{match['service']}_SERVICE_HOST" in environment
    return False


def _fits(text: str, value: re.Pattern[str] | None) -> bool:
    if value is not None:
        return value.fullmatch(text) is not None
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
