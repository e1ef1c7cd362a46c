"""Settings of hypothesis: the same examples in each run, so that a run is repeatable.

`pytest --hypothesis-profile=search` looks further, and elsewhere each time.
"""

import signal

from hypothesis import settings

if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    # nohup ignores SIGHUP. A child inherits an ignored signal but no handler, so a handler is set here.
    signal.signal(signal.SIGHUP, lambda *_: None)

settings.register_profile(
    "same", derandomize=True, database=None, deadline=None, max_examples=50, print_blob=True
)
settings.register_profile("search", deadline=None, max_examples=3000, print_blob=True)
settings.load_profile("same")
