"""The HTML of the page of refused records."""

from __future__ import annotations

import json
from html import unescape
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from batchdrain.engine.refused_view import Kind, ListedRow
from batchdrain.plugins import page

OURS = {
    "html",
    "head",
    "meta",
    "title",
    "style",
    "body",
    "h1",
    "h2",
    "form",
    "input",
    "label",
    "button",
    "p",
    "table",
    "tr",
    "th",
    "td",
    "ul",
    "li",
    "a",
    "pre",
}


class Seen(HTMLParser):
    """Collects the elements, links and texts of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.texts: list[str] = []
        self.attributes: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value for name, value in attrs if name == "href"]

    def handle_data(self, data):
        self.texts.append(data)


def row(text: str | None) -> ListedRow:
    return ListedRow("7", *[text] * 9)


def listed(asked: page.Request, text: str | None = "x", **more) -> str:
    options = {"more": False, "notes": [], "replay": "No replay.", **more}
    return page.rows_page(asked, [Kind(text, text, 3)], [row(text)], **options)


@given(st.text())
def test_nothing_that_comes_from_a_row_or_a_url_becomes_markup(text):
    asked = page.Request("d", text, text, text, text)
    for shown in (
        listed(asked, text, notes=[text], replay=page.Replay(text, {text: text})),
        page.row_page(asked, {"id": "7", "record_data": text}),
        page.tables_page(asked, [text]),
        page.sentence_page(text, text),
    ):
        seen = Seen(shown)
        assert seen.tags <= OURS
        assert not {name for name in seen.attributes if name.startswith("on")}
        assert not [link for link in seen.links if link.lower().startswith(("javascript", "data"))]


def test_values_of_markup_are_shown_as_they_are():
    shown = page.row_page(page.Request("d", table="t"), {"record_data": "<b>&amp;"})
    assert "&lt;b&gt;&amp;amp;" in shown
    assert "<b>&amp;" in "".join(Seen(shown).texts)


def test_a_list_links_to_its_rows_kinds_and_further_pages():
    asked = page.Request("d", "pg", "t", None, "run 1", page=2)
    links = Seen(listed(asked, more=True)).links
    assert "refused/row?table=t&run=run+1&page=2&connection=pg&id=7" in links
    assert "?table=t&error_type=x&run=run+1&connection=pg" in links
    assert "?table=t&run=run+1&connection=pg" in links
    assert "?table=t&run=run+1&page=3&connection=pg" in links
    assert "?run=run+1&connection=pg" in links
    assert "?table=t&connection=pg" in links
    assert "../../../dags/d" in links


def test_the_last_page_says_how_to_see_more():
    asked = page.Request("d", table="t", page=page.LAST_PAGE)
    assert "Narrow down" in listed(asked, more=True)
    assert "Older" not in listed(asked, more=True)


def test_the_replay_form_is_filled_in_and_leads_to_a_dag_that_exists():
    asked = page.Request("d", table='t"<', error_type="not_null_violation")
    defaults: dict[str, object] = {
        "action": "inspect",
        "table": None,
        "error_types": [],
        "most": 10,
    }
    shown = listed(asked, replay=page.Replay("redrive_errors", defaults))
    assert "../../../dags/redrive_errors" in Seen(shown).links
    form = json.loads(unescape(shown.split("<pre>")[1].split("</pre>")[0]))
    assert form == {**defaults, "table": 't"<', "error_types": ["not_null_violation"]}


def test_the_rows_of_one_run_are_chosen_by_their_ids():
    """One member of the form to a line, however many ids there are."""
    asked = page.Request("d", table="t", run="r")
    replay = page.Replay("redrive_errors", {"ids": [], "most": 10}, [3, 7])
    text = unescape(listed(asked, replay=replay).split("<pre>")[1].split("</pre>")[0])
    assert json.loads(text) == {"ids": [3, 7], "most": 10, "table": "t"}
    assert '  "ids": [3, 7],' in text.splitlines()


def test_where_no_replay_is_offered_it_says_why_and_leads_nowhere():
    shown = listed(page.Request("d", table="t"), replay="Because of <this>.")
    assert "Because of &lt;this&gt;." in shown
    assert "<pre>" not in shown
    assert "../../../dags/redrive" not in shown
