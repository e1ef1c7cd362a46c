"""The fault campaign: tenants live their lives while what serves them is killed and cut.

Load and faults are drawn from one seed each; what they come to is judged by the target's ledger.
"""
