"""The servers, and three queues that are drained into a database each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from batchdrain.demo.servers import PostgresServer, ValkeyServer
from chaos.workload import Account, Found, Workload, account
from drain_lab import KINDS, TABLE, Lab, redis_of
from drain_process import Child
from fix_postgres import fresh_database


@dataclass
class Drained:
    """A queue with its table, and what has been pushed to it."""

    lab: Lab
    workload: Workload = field(default_factory=Workload)

    def push(self, messages: int) -> None:
        """Push so many messages more; all servers must be there."""
        self.lab.push(self.workload.more(messages))

    def child(self, point: str = "", spared: int = 0) -> Child:
        """Start a drain of this queue in a process of its own."""
        return Child(self.lab.database, self.lab.redis_url, point, spared, self.lab.kind)

    def account(self) -> Account:
        """Drain what is left, and compare."""
        outcome = self.lab.drain()
        messages, applied, refused, lost = self.lab.logged()
        return account(
            self.workload,
            Found(
                rows=self.lab.sql("SELECT id, payload FROM t"),
                refused=self.lab.sql("SELECT record_data ->> 'payload' FROM t_errors"),
                counts={
                    "messages": messages,
                    "applied": applied,
                    "refused": refused,
                    "lost": lost,
                    "position": self.lab.position().applied,
                    "left": outcome.left,
                    "in flight": len(self.lab.in_flight()),
                },
            ),
        )


@dataclass(frozen=True, slots=True)
class Scene:
    """All that can be killed, and the queues."""

    postgres: PostgresServer
    valkey: ValkeyServer
    queues: Sequence[Drained]


@contextmanager
def scene(*, fsync: bool = True) -> Iterator[Scene]:
    """Open a scene; without `fsync` its servers outlive being killed, but no power cut."""
    with ExitStack() as stack:
        postgres = stack.enter_context(PostgresServer(fsync=fsync))
        valkey = stack.enter_context(ValkeyServer(fsync=fsync))
        queues: list[Drained] = []
        for number, kind in enumerate(KINDS):
            database = stack.enter_context(fresh_database(postgres.url))
            url = urlsplit(valkey.url)._replace(path=f"/{number}").geturl()
            lab = Lab(database, url, stack.enter_context(redis_of(url)), kind)
            lab.sql(TABLE)
            queues.append(Drained(lab))
        yield Scene(postgres, valkey, queues)
