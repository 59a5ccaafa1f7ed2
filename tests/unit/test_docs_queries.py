"""The page on queries and the code say the same, list by list."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from demijohn.errors import ForbiddenOperator
from demijohn.patches.conditions import LOGICAL
from demijohn.query import expressions, fields, filters, parameters, paths, patterns, pipeline
from demijohn.query.filters import FILTER, read_filter
from demijohn.query.parameters import parse_query, read_parameters

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "queries.md"
TEXT = PAGE.read_text(encoding="utf-8")
PROSE = re.sub(r"\s+", " ", TEXT)


def _rows(head: str) -> list[list[str]]:
    """The cells of the table whose head begins so."""
    section = TEXT.partition(f"\n| {head} |")[2].partition("\n\n")[0]
    return [row[2:-2].split(" | ") for row in section.splitlines()[2:]]


def _codes(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def test_every_operator_of_filters_is_listed() -> None:
    """By where it may stand, in the order of the alphabet."""
    assert [(of.strip("`"), _codes(names)) for of, names in _rows("Of")] == [
        ("filters", sorted(LOGICAL | FILTER.queries.keys())),
        ("values", sorted(FILTER.operators)),
        ("$geoWithin", sorted(filters.SHAPES)),
    ]


@pytest.mark.parametrize("name", ["$where", "$text", "$near", "$nearSphere", "$jsonSchema"])
def test_what_the_page_says_is_refused(name: str) -> None:
    """Each operator that is named as one that is not let through is not."""
    assert f"`{name}`" in TEXT.partition("## Filters")[2].partition("## Fields")[0]
    for text in (f'{{"{name}":1}}', f'{{"a":{{"{name}":1}}}}'):
        with pytest.raises(ForbiddenOperator):
            read_filter(text.encode())


def test_every_operator_and_variable_of_expressions_is_listed() -> None:
    """And none that is not let through."""
    section = TEXT.partition("## Expressions")[2].partition("## Bounds")[0]
    operators, variables = section.split("\n\n")[2:4]

    assert _codes(operators) == sorted(expressions.OPERATORS)
    assert _codes(variables.partition(", and those")[0]) == sorted(
        f"$${each}" for each in expressions.VARIABLES
    )


def test_every_operator_of_parameters_is_listed() -> None:
    """Each example is a filter, and every operator has one."""
    examples = [code for row in _rows("Parameter") for code in _codes(row[0])]
    used = [re.findall(r"\[(\w+)\]=", each) for each in examples]

    assert sorted(name for names in used for name in names) == sorted(parameters.OPERATORS)
    for each in examples:
        assert not read_parameters(parse_query(each.encode())).filter.is_empty


def test_every_reserved_name_is_listed() -> None:
    """A field of any other name can be asked for by a parameter."""
    (named,) = re.findall(r"Reserved are (.*?);", PROSE)

    assert _codes(named) == sorted(parameters.RESERVED)


def test_the_bounds_are_those_of_the_code() -> None:
    """Each number of the table."""
    flags = ", ".join(f"`{each}`" for each in sorted(patterns.FLAGS))

    assert filters.LARGEST == 1024 * 1024
    assert [bound for _, bound in _rows("Bound")] == [
        str(FILTER.most_clauses),
        str(FILTER.deepest),
        f"{FILTER.most_values:,}",
        f"0 to {filters.MOST_BITS - 1:,}",
        f"{patterns.LONGEST:,} bytes; options {flags}",
        "1 MiB of BSON each",
        f"{expressions.MOST_NODES:,} parts, in {expressions.DEEPEST} levels",
        f"{pipeline.MOST_STAGES} stages, in {pipeline.DEEPEST} levels",
        str(parameters.MOST_PARAMETERS),
        str(fields.MOST_FIELDS),
        f"{paths.LONGEST:,} characters",
    ]
