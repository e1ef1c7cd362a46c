"""The fault campaign: users work while workers, servers and connections are killed and cut.

Load and faults are drawn from one seed each. The judge compares the result with the target's ledger.
"""
