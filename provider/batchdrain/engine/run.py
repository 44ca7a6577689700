"""Which Airflow task a drain works for; everything that names a run takes it from here."""

from __future__ import annotations

from dataclasses import dataclass

_APPLICATION_NAME_BYTES = 63
"""PostgreSQL cuts application_name there (NAMEDATALEN - 1)."""


@dataclass(frozen=True, slots=True)
class Run:
    """One try of one task instance; `map_index` is None for a task that is not mapped.

    A drain outside Airflow may choose any names, or none.
    """

    dag_id: str = ""
    run_id: str = ""
    task_id: str = ""
    try_number: int = 1
    map_index: int | None = None

    @property
    def label(self) -> str:
        """Name the try for a human: DAG, run, task, map index and try."""
        mapped = "" if self.map_index is None else f"[{self.map_index}]"
        return f"{self.dag_id} {self.run_id} {self.task_id}{mapped} try {self.try_number}".strip()

    def application_name(self, queue: str) -> str:
        """Name DAG, run and queue in at most 63 bytes of ASCII, as pg_stat_activity shows them.

        What is too long loses its less telling end: a DAG id its tail, run id and queue their
        heads (run type and prefix).
        """
        parts = [_ascii(part) for part in (self.dag_id, self.run_id, queue)]
        sizes = [len(part) for part in parts]
        while sum(sizes) + len(parts) - 1 > _APPLICATION_NAME_BYTES:
            sizes[sizes.index(max(sizes))] -= 1
        dag, run, key = parts
        clipped = (dag[: sizes[0]], run[len(run) - sizes[1] :], key[len(key) - sizes[2] :])
        return " ".join(part for part in clipped if part)


def _ascii(text: str) -> str:
    return "".join(character if " " < character <= "~" else "?" for character in text)
