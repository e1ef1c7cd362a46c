"""The help of each command, as it is rendered."""

import pytest

from landlord_test_target.help_texts import COMMANDS, file_of, render_help


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_is_rendered_as_it_was_recorded(command: str) -> None:
    assert render_help(command) == file_of(command).read_text(), (
        "record it again with `python -m landlord_test_target.help_texts`"
    )
