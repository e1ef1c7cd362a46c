"""A campaign of killed jobs with delayed requests, frozen workers, and the jobs that follow.

`plan` draws cases from a seed, `play` runs them on a `environment`, and `judge` checks the resources that are
left. `case_record` keeps each case as a line of JSON.
"""
