"""The local restate-server: finding or installing it, running it, and serving as a local backend."""
