"""What a model writes is shown, never sent to the terminal as commands."""

from __future__ import annotations

import pytest

from pipelines.chat_command import _talk


def test_control_characters_of_an_answer_are_written_out(capsys: pytest.CaptureFixture[str]) -> None:
    _talk("Well?", lambda _: "\x1b[2Jfine\x07\n", as_json=False)
    assert capsys.readouterr().out == "\\x1b[2Jfine\\x07\n"
