"""The worker as a Restate deployment: its manifest, its registration, and moves of jobs to a new version."""
