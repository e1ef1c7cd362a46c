"""Names that the pytest plugin shares with the suites; the module imports nothing."""

__all__ = ["RESULT"]

RESULT = "landlord_conformance"
"""The property of a test with the result of its rule."""
