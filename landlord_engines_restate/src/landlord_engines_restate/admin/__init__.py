"""Client of the parts of Restate's admin API that a worker needs.

Response formats were observed on restate-server 1.7.12.
"""

from landlord_engines_restate.admin.client import AdminClient
from landlord_engines_restate.admin.errors import AdminRefused, AdminUnavailable
from landlord_engines_restate.admin.queries import literal, partition_key
from landlord_engines_restate.admin.responses import (
    Deployment,
    DeploymentDetails,
    Handler,
    RegisteredService,
    RegistrationResponse,
    RetryPolicy,
)

__all__ = [
    "AdminClient",
    "AdminRefused",
    "AdminUnavailable",
    "Deployment",
    "DeploymentDetails",
    "Handler",
    "RegisteredService",
    "RegistrationResponse",
    "RetryPolicy",
    "literal",
    "partition_key",
]
