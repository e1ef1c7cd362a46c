"""The tenant lock: its holder, the order of jobs, and the tenant's record."""
