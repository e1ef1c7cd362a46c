"""The tenant lifecycle: one path for create, update and delete, over steps and compute engines.

A job is parsed, then it runs step ``resolve``, acquires the tenant's lock, runs step ``apply`` and
completes. Step ``hold`` follows ``apply`` where the update was rolled back. Step ``fail`` comes
before the end of a job that ends without having done its work.

The names of the steps and their order are a public promise: one version replays the journals of
another. No branch outside a step depends on anything that is not in the journal.
"""

from landlord_engines_core.tenants.jobs import TenantJobs
from landlord_engines_core.tenants.limits import JobLimits, check_limits
from landlord_engines_core.tenants.slots import Slots

__all__ = ["JobLimits", "Slots", "TenantJobs", "check_limits"]
