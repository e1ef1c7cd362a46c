"""Trials of engines: each one runs in a process of its own, for a limited time.

An engine that hangs, ends its process or crashes the interpreter then harms nothing else, and is reported.
`child` is the side of the tried engine, `parent` the other, and `result` passes between both.
"""

from landlord_engines_core.trial.parent import LONGEST_STAGE, run_trial
from landlord_engines_core.trial.result import Description, Failure, Finding, Trial

__all__ = ["LONGEST_STAGE", "Description", "Failure", "Finding", "Trial", "run_trial"]
