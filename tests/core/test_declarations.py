"""Parts of the check of a factory that both kinds of engines share."""

from landlord_engines_core.declarations import accepts


def test_a_function_whose_signature_cannot_be_read_is_taken_to_fit() -> None:
    assert accepts(min, 1)


def test_a_function_fits_the_number_of_its_arguments() -> None:
    assert accepts(lambda _: None, 1)
    assert not accepts(lambda _: None, 2)
