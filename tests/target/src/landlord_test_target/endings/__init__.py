"""Killed jobs with late requests and frozen workers, and the jobs that follow them.

`plan` draws cases from a seed, `play` runs them on a `environment`, and `judge` checks the resources that are
left. `case_record` keeps each case as a line of JSON.
"""
