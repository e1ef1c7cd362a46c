"""Jobs on Restate: the services that Restate calls, a job's steps, and the count of lost attempts."""
