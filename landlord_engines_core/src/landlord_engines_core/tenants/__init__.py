"""The tenant lifecycle: one path for create, update and delete, over steps and compute engines.

A job is parsed, then it runs step ``resolve``, acquires the tenant's lock, runs step ``apply`` and
completes. Step ``hold`` follows ``apply`` if the update was rolled back. Step ``fail`` follows
``apply`` if the job ends without having done its work.

The names of the steps and their order never change: each version of the worker replays the journals
of other versions. Outside a step, a branch depends only on journaled values.
"""

from landlord_engines_core.tenants.jobs import TenantJobs
from landlord_engines_core.tenants.limits import JobLimits, check_limits
from landlord_engines_core.tenants.slots import Slots

__all__ = ["JobLimits", "Slots", "TenantJobs", "check_limits"]
