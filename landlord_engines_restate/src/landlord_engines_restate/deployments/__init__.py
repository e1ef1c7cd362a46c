"""The worker as a deployment of Restate: manifest, registration, and moves between versions."""
