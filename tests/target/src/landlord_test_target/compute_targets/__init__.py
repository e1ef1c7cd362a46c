"""Views of the targets of compute engines, which use no engine.

The conformance kit's live rules need them, and so does the suite in `landlord_test_target.compute_contract`.
"""
