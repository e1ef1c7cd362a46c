"""The tenant lock: who holds it, which of two jobs goes first, and the tenant's record beside it."""
