"""The pages of Airflow's UI as its users handle them, for tests with a browser."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote, unquote

from playwright.sync_api import Locator, Page, expect

PATIENCE = 120_000.0
"""Milliseconds that whatever is awaited may take, on a slow machine that does other work, too."""

_RUN = re.compile(r".*/dags/[^/]+/runs/([^/?]+)/?(\?.*)?$")


WIDTH = 1280
"""Of a page, in pixels."""


class Picture(Protocol):
    """Saves a page down to the end of a part of it, or that part alone, in docs/images."""

    def __call__(
        self, name: str, part: Locator, *, alone: bool = False, width: int = WIDTH
    ) -> None: ...


def sign_in(page: Page, user: str, password: str) -> None:
    """Fill the login page in and send it; the page is already the one that Airflow leads to."""
    page.get_by_label("Username").fill(user)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def _run_path(dag_id: str, run_id: str) -> str:
    # As Airflow's own links write it: tabs of a page with another spelling are not marked.
    return f"/dags/{quote(dag_id)}/runs/{quote(run_id, safe=':+')}"


@dataclass(frozen=True, slots=True)
class TriggerForm:
    """The form that starts a run of a DAG by hand."""

    page: Page
    dialog: Locator

    @classmethod
    def of(cls, page: Page, dag_id: str) -> TriggerForm:
        """Open a DAG's page, and there its form."""
        page.goto(f"/dags/{quote(dag_id)}")
        page.get_by_role("button", name="Trigger Dag").click()
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_role("heading", name=f"Trigger Dag - {dag_id}")).to_be_visible()
        expect(dialog.get_by_role("button", name="Run Parameters")).to_be_visible()
        return cls(page, dialog)

    def open(self, section: str) -> None:
        """Unfold a section of the form; Airflow folds the others."""
        head = self.dialog.get_by_role("button", name=section, exact=True)
        if head.get_attribute("aria-expanded") != "true":
            head.click()
        expect(head).to_have_attribute("aria-expanded", "true")

    def field(self, param: str) -> Locator:
        """Return the part of the form in which a Param is set."""
        inside = self.page.locator(f"#element_{param}, [name=element_{param}]")
        return self.dialog.get_by_role("group").filter(has=inside)

    @property
    def submit(self) -> Locator:
        """The button that sends the form."""
        return self.dialog.get_by_test_id("trigger-dag-submit")

    def choose(self, param: str, *choices: str) -> None:
        """Choose from a list; each choice is told by how its text begins."""
        for choice in choices:
            self.field(param).get_by_role("combobox").click()
            option = self.page.get_by_role("option", name=re.compile(rf"{re.escape(choice)}\b"))
            option.click()
            expect(self.field(param)).to_contain_text(choice)

    def take_away(self, param: str) -> None:
        """Take away the one thing that was chosen from a list of several."""
        self.field(param).get_by_role("combobox").press("Backspace")
        expect(self.field(param).get_by_text("Select one or multiple values")).to_be_visible()

    def type(self, param: str, text: str) -> Locator:
        """Type over what a field holds and leave it by the Tab key; returns the field's input."""
        box = self.field(param).locator(f"[name=element_{param}]")
        box.clear()
        box.press_sequentially(text)
        box.press("Tab")
        return box

    def send(self) -> None:
        """Press the form's Trigger button."""
        self.submit.click()

    def trigger(self) -> str:
        """Send the form and return the id of the run that it has started."""
        self.send()
        self.page.wait_for_url(_RUN)
        match = _RUN.match(self.page.url)
        assert match is not None
        return unquote(match[1])


@dataclass(frozen=True, slots=True)
class RunPage:
    """The page of a run: a row for each of its tasks, mapped ones each by its name."""

    page: Page

    @classmethod
    def of(cls, page: Page, dag_id: str, run_id: str) -> RunPage:
        """Open the page of a run, unless it is open."""
        if not page.url.split("?")[0].rstrip("/").endswith(_run_path(dag_id, run_id)):
            page.goto(_run_path(dag_id, run_id))
        return cls(page)

    @property
    def table(self) -> Locator:
        """The table of tasks."""
        return self.page.get_by_role("table")

    def row(self, name: str) -> Locator:
        """Return the row of a task, by its id, or by its name if it is mapped."""
        link = self.page.get_by_role("link", name=name, exact=True)
        return self.page.get_by_role("row").filter(has=link)

    def expect_state(self, name: str, state: str) -> None:
        """Wait until a task is in a state, such as Running or Success."""
        expect(self.row(name).get_by_role("cell", name=state, exact=True)).to_be_visible()

    def expect_over(self) -> None:
        """Wait until neither the run nor a task of it is running."""
        expect(self.page.get_by_text("Running", exact=True)).to_have_count(0)

    def mapped(self) -> list[str]:
        """Return the names of the run's mapped tasks that are shown, sorted."""
        names = self.page.get_by_role("row").get_by_role("link", name=re.compile("^batchdrain:"))
        return sorted(names.all_inner_texts())

    def open_log(self, name: str) -> TaskLog:
        """Follow the link to a task, which leads to its log."""
        self.row(name).get_by_role("link", name=name, exact=True).click()
        return TaskLog(self.page)


@dataclass(frozen=True, slots=True)
class TaskLog:
    """The page with a task's log; only the lines in view are there."""

    page: Page

    @classmethod
    def of(cls, page: Page, dag_id: str, run_id: str, task_id: str) -> TaskLog:
        """Open the log of a task that isn't mapped."""
        page.goto(f"{_run_path(dag_id, run_id)}/tasks/{task_id}")
        return cls(page)

    @property
    def lines(self) -> Locator:
        """The log."""
        return self.page.get_by_test_id("virtualized-list")

    def expect_line(self, text: str | re.Pattern[str]) -> None:
        """Wait until a line is in view that holds this text."""
        expect(self.lines.get_by_text(text).first).to_be_visible()

    def last_line(self) -> str:
        """Return the last line that a task of ours has logged, before what Airflow adds."""
        return self.lines.locator(".event > code").all_inner_texts()[-1]

    def expect_state(self, state: str) -> None:
        """Wait until the page says that the task is in a state."""
        expect(self.page.get_by_text(state, exact=True).first).to_be_visible()

    def _try(self, number: int) -> Locator:
        return self.page.get_by_role("button", name=str(number), exact=True)

    def expect_try(self, number: int) -> None:
        """Wait until the task has been tried so often."""
        expect(self._try(number)).to_be_visible()

    def choose_try(self, number: int) -> None:
        """Show the log of one of the tries."""
        self._try(number).click()

    def fold(self, group: str) -> None:
        """Fold or unfold a group of lines, told by how its title begins."""
        self.lines.locator(f'[data-testid^="summary-{group}"]').click()

    def follow(self, link: str) -> None:
        """Open, in the same window, what one of the task's own links, under Details, leads to."""
        self.page.get_by_role("link", name="Details", exact=True).click()
        target = self.page.get_by_role("link", name=link).get_attribute("href")
        assert target is not None
        self.page.goto(target)
