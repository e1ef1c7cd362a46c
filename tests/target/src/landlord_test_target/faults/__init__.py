"""The fault campaign: users change tenants while processes are killed and connections are cut.

Load and faults are drawn from one seed each. The judge compares the result with the target's ledger.
"""
