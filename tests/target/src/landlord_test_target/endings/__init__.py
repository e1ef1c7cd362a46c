"""How jobs end that are killed: late requests, workers that stand still, and what comes after.

`plan` draws cases from a seed, `play` runs them on a `stage`, `judge` looks at what is left, and
each case's story is kept as a line of JSON.
"""
