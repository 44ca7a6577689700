"""What a page shows is compared with what happens, but for what differs from run to run."""

from __future__ import annotations

from pathlib import Path

from page_code import Block, blocks, cells, code, missing_lines, printed

LOG = """\
2026-11-26T18:15:32Z [info     ] batch 1: 4 messages, 1 applied, 0.168 s, 30 records/s [task] loc=1
2026-11-26T18:15:33Z [info     ] batchdrain:orders  stream  held         4  0:01:22 [task] loc=2
"""


def test_lines_agree_whatever_the_time_the_rate_and_the_widths() -> None:
    batch = "batch 1: 4 messages, 1 applied, 0.2 s, 7 records/s"
    queue = "batchdrain:orders stream held 4 0:00:09"
    assert missing_lines(f"{batch}\n…\n{queue}", LOG) == []


def test_a_line_that_is_not_there_or_in_another_place_is_noticed() -> None:
    assert missing_lines("batch 1: 5 messages", LOG) == ["batch 1: 5 messages"]
    assert missing_lines("held\nbatch 1", LOG) == ["batch 1"]


def test_a_table_is_what_psql_prints_of_a_query() -> None:
    shown = " id | done | note\n----+------+------\n  1 | t    |\n  2 | f    | x\n"
    assert cells(shown) == printed(["id", "done", "note"], [(1, True, None), (2, False, "x")])
    assert cells(shown) != printed(["id", "done", "note"], [(1, True, None), (2, True, "x")])


def test_blocks_are_found_in_their_order(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("a\n\n```sql\nSELECT 1;\n```\n\n```text\n1\n```\n\n    indented\n")
    assert blocks(page) == [Block("sql", "SELECT 1;\n"), Block("text", "1\n")]
    assert code(page, "text") == ["1\n"]
