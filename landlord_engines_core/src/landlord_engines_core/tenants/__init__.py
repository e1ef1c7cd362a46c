"""The tenant lifecycle: one path for create, update and delete, over steps and compute engines.

Understand (pure), step ``resolve``, acquire the lock, step ``apply``, end. Before the end comes step
``hold`` where the value of ``apply`` says that the update was rolled back, and step ``fail`` where a
job ends though it cannot be done. The names and their order are a public promise: journals written
by one version are replayed by the next. Nothing outside a step depends on anything that is not in
the journal.
"""

from landlord_engines_core.tenants.limits import check_limits
from landlord_engines_core.tenants.run import JobLimits, TenantJobs
from landlord_engines_core.tenants.slots import Slots

__all__ = ["JobLimits", "Slots", "TenantJobs", "check_limits"]
