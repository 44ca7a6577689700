"""The text of set statements, questions and the isolation block."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchdrain.engine.catalog import Table
from batchdrain.engine.cut import Step
from batchdrain.engine.layout import Layout, Layouts
from batchdrain.engine.ready import Ready
from batchdrain.engine.records import Operation
from batchdrain.engine.settings import STATEMENT_STYLES
from batchdrain.engine.statements.block import BETWEEN_CHUNKS, BETWEEN_RECORDS
from batchdrain.engine.statements.isolation import block_of, work_of
from batchdrain.engine.statements.questions import (
    conversion,
    convertible_keys,
    same_keys,
    same_value,
)
from batchdrain.engine.statements.quoting import dollar_quoted, literal, quoted, unused_name
from batchdrain.engine.statements.recordset import Recordset
from batchdrain.engine.statements.shape import SetStatement, Shape
from batchdrain.engine.statements.styles import open_style
from made_tables import column, table

ODD = """a"'; DROP TABLE t; --"""
TABLE = table(
    column(ODD, "integer"), column("N", "text"), column("_ver"), key=(ODD,), name='T"', schema="S%"
)


def shape(operation: Operation, *names: str) -> Shape:
    layout = Layouts(TABLE).of(operation, names)
    assert isinstance(layout, Layout)
    return layout.shape


@given(st.text())
def test_a_quoted_name_cannot_be_left(name: str) -> None:
    text = quoted(name)
    assert text[0] == text[-1] == '"'
    assert '"' not in text[1:-1].replace('""', "")
    assert text[1:-1].replace('""', '"') == name


@given(st.text(st.sampled_from("$batchdrain_ x")))
def test_a_dollar_quoted_text_cannot_be_left(text: str) -> None:
    literal = dollar_quoted(text)
    tag = literal[: literal.index("$", 1) + 1]
    assert literal == f"{tag}{text}{tag}"
    assert tag not in text


def recordset(shape: Shape, table: Table = TABLE) -> SetStatement:
    """The statement of style recordset for records of a shape."""
    (bound,) = Recordset(table).bind(shape, [b"{}"])
    return bound.statement


def test_our_own_names_give_way_to_the_table_s() -> None:
    assert unused_name(table(column("n"), column("n_")), "n") == "n__"


@pytest.mark.parametrize("operation", list(Operation))
def test_every_name_in_a_statement_is_quoted(operation: Operation) -> None:
    record = json.dumps({ODD: 1, "N": "x", "_ver": "1"}).encode()
    styles = [open_style(name, TABLE) for name in STATEMENT_STYLES]
    bound = [style.bind(shape(operation, ODD, "N"), [record]) for style in styles]
    for text in (
        *(each.statement.text for statements in bound for each in statements),
        block_of(TABLE, [shape(operation, ODD, "N")]),
    ):
        assert '"S%"."T"""' in text
        assert "DROP" not in text.replace(quoted(ODD), "").replace(literal(ODD), "")


def test_every_name_in_a_question_is_quoted() -> None:
    for text in (
        same_keys(TABLE),
        convertible_keys(TABLE),
        conversion(TABLE.columns[0]),
    ):
        assert "DROP" not in text.replace(quoted(ODD), "")
    assert same_value(TABLE.columns[1]).count("text") == 2


@pytest.mark.parametrize("operation", list(Operation))
def test_a_statement_s_text_depends_on_the_shape_alone(operation: Operation) -> None:
    """So that it is prepared once, however many records it gets."""
    first, second = (recordset(shape(operation, *names)) for names in ((ODD, "N"), ("N", ODD)))
    assert first == second
    assert "$2" not in first.text


def test_records_travel_as_one_json_array() -> None:
    insert = shape(Operation.INSERT, ODD)
    (bound,) = Recordset(TABLE).bind(insert, [b'{"a": 1}', '{"a": "é"}'.encode()])
    (parameter,) = bound.parameters
    assert json.loads(parameter) == [{"a": 1}, {"a": "é"}]


@pytest.mark.parametrize("operation", [Operation.UPDATE, Operation.DELETE, Operation.UPSERT])
def test_a_statement_that_looks_rows_up_converts_every_record_first(operation: Operation) -> None:
    text = recordset(shape(operation, ODD, "N")).text
    assert text.startswith("WITH r AS MATERIALIZED")


def test_a_key_is_compared_so_that_its_index_is_used() -> None:
    text = recordset(shape(Operation.UPDATE, ODD, "N")).text
    assert f"t.{quoted(ODD)} = r.{quoted(ODD)}" in text
    assert "DISTINCT" not in text


def test_rules_part_the_statement() -> None:
    """Neither WITH nor RETURNING stands before a change that a rule rewrites."""
    ruled = table(column("id"), column("v"), rules=True)
    layout = Layouts(ruled).of(Operation.UPSERT, ("id", "v"))
    assert isinstance(layout, Layout)
    statement = recordset(layout.shape, ruled)
    assert statement.question is not None
    assert statement.question.startswith("WITH")
    for text in (statement.text, statement.insert):
        assert text is not None
        assert "WITH" not in text
        assert "RETURNING" not in text


def test_the_work_of_the_block_keeps_every_byte_of_a_record() -> None:
    insert = shape(Operation.INSERT, ODD)
    data = '{"x": "\\u0000 \\ud800 é", "y": 1e999999}'
    steps = [
        Step(insert, (Ready(3, insert, data.encode(), (), None),), together=False),
        Step(insert, (Ready(5, insert, b"{}", (), None), Ready(4, insert, b"{}", (), None))),
    ]
    work, records = work_of([insert], steps)
    chunks = [chunk.split(BETWEEN_RECORDS) for chunk in records.split(BETWEEN_CHUNKS)]
    assert chunks == [[data], ["{}", "{}"]]
    assert json.loads(work) == {
        "ordinals": "{3,5,4}",
        "steps": [
            {"statement": 1, "together": False, "records": 1},
            {"statement": 1, "together": True, "records": 2},
        ],
    }
