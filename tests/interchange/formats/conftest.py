"""What all tests of formats hold to."""

import pytest

from imcm.interchange.formats import Format
from imcm.interchange.payloads import Options


@pytest.fixture(autouse=True)
def _only_words_that_are_said(monkeypatch):
    """A format asks only for words that it names, since options with others are refused."""
    reading = []
    read, word = Format.read, Options.word

    def read_by(made, *arguments):
        reading.append(made)
        try:
            return read(made, *arguments)
        finally:
            reading.pop()

    def asked(options, fact, *arguments):
        if reading:
            assert fact in reading[-1].words, f"{reading[-1].name} asks for {fact}"
        return word(options, fact, *arguments)

    monkeypatch.setattr(Format, "read", read_by)
    monkeypatch.setattr(Options, "word", asked)
