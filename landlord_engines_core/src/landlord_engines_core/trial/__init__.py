"""Trials of engines: each one runs in a process of its own, for a limited time.

An engine that hangs, ends its process or crashes the interpreter then harms nothing else, and is reported.
`child` is the side of the tried engine, `parent` the other, and `result` passes between both. This package
imports none of them, so that an import of `result` stays cheap.
"""
