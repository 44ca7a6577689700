"""All services of docker-compose.yaml, started and stopped in the order that it wants."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from graphlib import TopologicalSorter
from pathlib import Path

from batchdrain.demo.servers import PostgresServer
from compose_file import services
from containers import (
    AirflowContainer,
    Container,
    Network,
    PostgresContainer,
    ValkeyContainer,
)

KINDS: dict[str, type[Container]] = {
    "batchdrain-airflow": AirflowContainer,
    "postgres": PostgresContainer,
    "valkey/valkey": ValkeyContainer,
}


class Composition:
    """All services; `up` and `down` do what `docker compose up --wait` and `down` do."""

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        self.folder = folder
        self.variables = variables
        self.specs = services(variables)
        self.network = Network(frozenset(self.specs))
        self.containers = {
            name: KINDS[spec["image"].partition(":")[0]](
                name, spec, folder / name, self.network, variables
            )
            for name, spec in self.specs.items()
        }
        for container in self.containers.values():
            container.lay_out(folder / "volumes")

    def airflow(self, name: str) -> AirflowContainer:
        """Return a service of our own image."""
        container = self.containers[name]
        assert isinstance(container, AirflowContainer)
        return container

    def postgres(self, name: str) -> PostgresServer:
        """Return the server behind a service of the PostgreSQL image."""
        container = self.containers[name]
        assert isinstance(container, PostgresContainer)
        return container.postgres

    def up(self) -> None:
        """Start all services without a profile, each when its dependencies are as it wants them."""
        for name in self.order():
            for other, wanted in self.specs[name].get("depends_on", {}).items():
                if wanted["condition"] == "service_healthy":
                    self.containers[other].wait_until_healthy()
            if self.specs[name]["restart"] == "no":
                self.airflow(name).run_to_the_end()
            else:
                self.containers[name].start()
        for name in self.long_running():
            self.containers[name].wait_until_healthy()

    def down(self) -> dict[str, float]:
        """Stop the services, each before those that it depends on; returns their seconds."""
        return {name: self.containers[name].stop() for name in reversed(self.long_running())}

    def order(self) -> list[str]:
        """Return the services without a profile, each after those that it depends on."""
        wanted = {n: set(s.get("depends_on", {})) for n, s in self.specs.items()}
        order = TopologicalSorter(wanted).static_order()
        return [name for name in order if "profiles" not in self.specs[name]]

    def long_running(self) -> list[str]:
        """Return the services that go on until they are stopped, in the order of their start."""
        return [name for name in self.order() if self.specs[name]["restart"] != "no"]

    def output(self) -> str:
        """Return what all services have written."""
        logs = [container.log for container in self.containers.values()]
        return "\n".join(log.read_text(errors="replace") for log in logs if log.is_file())


@contextmanager
def composition(folder: Path, variables: Mapping[str, str]) -> Iterator[Composition]:
    """Give the services, not started, and end whatever runs of them afterwards."""
    composed = Composition(folder, variables)
    with ExitStack() as cleaning:
        for container in composed.containers.values():
            cleaning.callback(container.close)
        yield composed
