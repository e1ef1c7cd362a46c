"""The local restate-server: its installation, its process or container, and the local backend on it."""
