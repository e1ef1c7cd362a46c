"""A campaign of killed jobs with delayed requests, frozen workers, and the jobs that follow.

`cases` draws cases from a seed, `case_runner` runs them in an `environment`, and `judge` checks the
resources that remain. `case_record` stores each case as a line of JSON.
"""
