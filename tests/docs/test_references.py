"""The pages that are written from the code are what the code says."""

from __future__ import annotations

import pytest

from tests.support.places import ROOT
from tests.support.references import (
    CLI_PAGE,
    PICTURES,
    QUESTIONS,
    QUESTIONS_PAGE,
    SPEC_PAGE,
    cli_page,
    part_of,
    picture,
    questions_page,
    spec_page,
)
from timeline.spec.spec import Spec

AGAIN = "run: python -m tests.support.references"


def test_the_page_of_the_spec_is_what_the_model_says() -> None:
    assert SPEC_PAGE.read_text("utf-8") == spec_page(), AGAIN


def test_the_page_of_the_commands_is_what_their_help_says() -> None:
    assert CLI_PAGE.read_text("utf-8") == cli_page(), AGAIN


def test_the_page_of_questions_is_what_the_examples_say() -> None:
    assert QUESTIONS_PAGE.read_text("utf-8") == questions_page(), AGAIN
    # Other specs go with the data of one of these.
    assert {path.stem for path in (ROOT / "examples").glob("*.jsonl")} == QUESTIONS.keys()


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_pictures_of_questions_are_what_the_examples_say(name: str) -> None:
    assert (PICTURES / f"{name}.svg").read_text("utf-8") == picture(name), AGAIN


def test_every_key_of_the_spec_has_a_meaning() -> None:
    parts = {name: part_of(field.annotation) for name, field in Spec.model_fields.items()}
    fields = {name: field for name, field in Spec.model_fields.items() if parts[name] is None}
    for table, part in parts.items():
        fields |= {f"{table}.{name}": field for name, field in part.model_fields.items()} if part else {}
    assert len(fields) > 20
    assert [name for name, field in fields.items() if not field.description] == []
