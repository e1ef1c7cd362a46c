"""A compute engine of the tests' own, whose resources live in a server process."""
