"""Records for a table case: mostly sensible, wrong in every way that the contract names."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from oracle import Change
from table_case import TableCase

_POISON = ['"\\u0000"', '"a\\u0000b"', "1e999999", "[1e-999999]", '"\\ud800"', '{"x": "\\udc00"}']
_NO_RECORD = [b"5", b"null", b"[]", b'"\\u0000"', b"{}", b'{"nope": 1e999999}']

quick = settings(
    derandomize=True,
    max_examples=20,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
)
"""A few batches, the same in every run."""


def thorough(examples: int) -> settings:
    """Many batches, others in every run."""
    return settings(quick, derandomize=False, max_examples=examples)


@st.composite
def changes(draw: st.DrawFn, case: TableCase) -> Change:
    """One record for the table of a case."""
    members = {"client_id": draw(st.sampled_from(case.clients)).encode()}
    members["ver"] = draw(st.sampled_from(case.versions)).encode()
    oddity = draw(st.integers(0, 59))
    if oddity == 1:
        del members[draw(st.sampled_from(sorted(members)))]
    operation = draw(st.sampled_from(case.operations))
    if oddity == 2:
        return Change(operation, draw(st.sampled_from(_NO_RECORD)), members)
    listed = []
    for column, texts in case.values.items():
        share = 19 if column in case.key else 2 if column in case.seldom else 10
        if draw(st.integers(1, 20)) <= share:
            listed.append((column, draw(st.sampled_from(texts))))
    if oddity == 3:
        listed.append((draw(st.sampled_from(["nope", "ID", "", "\\u0000"])), "1"))
    if oddity in (4, 5):
        listed.append((draw(st.sampled_from(list(case.values))), draw(st.sampled_from(_POISON))))
    if oddity == 6 and listed:
        listed.append((listed[0][0], draw(st.sampled_from(case.values[listed[0][0]]))))
    data = ", ".join(f'"{column}": {text}' for column, text in listed)
    return Change(operation, f"{{{data}}}".encode(), members)


def batches(case: TableCase) -> st.SearchStrategy[tuple[list[Change], list[int]]]:
    """A sequence of records, and where it is split into batches."""
    return st.tuples(
        st.lists(changes(case), min_size=1, max_size=40),
        st.lists(st.integers(0, 40), max_size=2).map(sorted),
    )
