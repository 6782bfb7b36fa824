"""What can be checked of docker-compose.yml and the Dockerfile without a docker daemon."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from feeder.broker import VERSION
from tests.support.places import ROOT
from timeline.cli.main import make_app
from timeline.spec.loading import load_spec

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if "build" in service]
#: A tag that names one release: 4.0.7, 16.9-bookworm.
RELEASE = re.compile(r"[\w./-]+:\d+\.\d+(\.\d+)?(-[\w.-]+)?")


def instructions() -> list[tuple[str, list[str]]]:
    """The Dockerfile as (instruction, words)."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.split()[0], shlex.split(line)[1:]) for line in lines]


def parsed(arguments: list[str]) -> Any:
    """The arguments of `timeline` as its own parser takes them; fails where it would."""
    group: Any = typer.main.get_command(make_app())
    return group.commands[arguments[0]].make_context(arguments[0], list(arguments[1:]))


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned(name: str) -> None:
    assert RELEASE.fullmatch(SERVICES[name]["image"]), SERVICES[name]["image"]


def test_versions_agree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    tags: dict[str, set[str]] = {}
    for service in SERVICES.values():
        image, _, tag = service["image"].partition(":")
        tags.setdefault(image, set()).add(tag)
    assert tags["timeline-analytics"] == {project["version"]}
    assert tags["apachepulsar/pulsar"] == {VERSION}
    assert tags["temporalio/server"] == tags["temporalio/admin-tools"]


def test_dependencies_can_be_met() -> None:
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            there = SERVICES[other]
            condition = how["condition"]
            if condition == "service_healthy":
                assert "healthcheck" in there, (name, other)
            else:
                # What ends must not be started again for having ended well.
                assert condition == "service_completed_successfully", (name, other)
                assert there["restart"].startswith("on-failure"), (name, other)


def test_volumes_are_declared_and_what_is_mounted_is_there() -> None:
    mounts = [mount.split(":") for s in SERVICES.values() for mount in s.get("volumes", [])]
    named = {source for source, *_ in mounts if not source.startswith(".")}
    assert named == set(COMPOSE["volumes"])
    for source, *_ in mounts:
        assert source in named or (ROOT / source).exists(), source


def test_nothing_is_offered_beyond_this_machine() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(ports) == 4
    assert all(port.startswith("127.0.0.1:") for port in ports), ports


def test_every_variable_has_a_default() -> None:
    text = (ROOT / "docker-compose.yml").read_text().replace("$$", "")
    variables = re.findall(r"\$\{?\w+[^}\s]*\}?", text)
    assert variables
    assert all(re.fullmatch(r"\$\{\w+:-[\w./]+\}", variable) for variable in variables), variables


def test_there_is_no_password_but_in_a_file() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    [(name, secret)] = COMPOSE["secrets"].items()
    assert re.fullmatch(r"\$\{\w+_FILE:-\./secrets/" + name + r"\}", secret["file"])
    assert "secrets/" in (ROOT / ".gitignore").read_text().splitlines()
    # Whoever reads it is given it, and nothing else says what it is.
    readers = [n for n, s in SERVICES.items() if f"/run/secrets/{name}" in json.dumps(s)]
    assert readers == [n for n, s in SERVICES.items() if "secrets" in s]
    assert readers == ["postgresql", "temporal-schema", "temporal"]
    told = re.findall(r"(?:PASSWORD|PWD)\b[:=] ?(.*)", text)
    assert told == ['"$$(cat /run/secrets/postgres_password)"'] * 2


@pytest.mark.parametrize("name", SERVICES)
def test_nothing_takes_the_whole_machine(name: str) -> None:
    assert re.fullmatch(r"\d+[mg]", SERVICES[name]["mem_limit"])
    assert SERVICES[name]["logging"]["options"].keys() == {"max-size", "max-file"}


def test_the_database_has_connections_enough() -> None:
    _, *options = SERVICES["postgresql"]["command"]
    [most] = [int(o.partition("=")[2]) for o in options if o.startswith("max_connections=")]
    # Of each of the four parts of a server, of which there may be two, for its tables and for visibility.
    assert most >= 2 * 4 * (20 + 10)


@pytest.mark.parametrize("name", OURS)
def test_our_services_run_commands_that_are_there(name: str) -> None:
    service = SERVICES[name]
    assert parsed(service["command"]).command.name == service["command"][0]
    if name in ("worker", "feeder"):
        how, *check = service["healthcheck"]["test"]
        address = parsed(service["command"]).params["health_address"]
        assert (how, check[:2]) == ("CMD", ["python", "-c"])
        assert f"urlopen('http://{address}/readyz')" in check[2]
        compile(check[2], name, "exec")
    wanted = {"TEMPORAL_ADDRESS", "PULSAR_SERVICE_URL", "TIMELINE_STORE"}
    assert set(service["environment"]) == wanted | ({"PULSAR_ADMIN_URL"} if name == "feeder" else set())
    assert service["pull_policy"] == "build"


def test_a_command_that_is_not_there_would_be_noticed() -> None:
    with pytest.raises(Exception, match="--into"):
        parsed(["produce", "--into", "sessions"])


def test_producer_and_timeline_have_the_same_topic() -> None:
    (path,) = parsed(SERVICES["register"]["command"]).params["specs"]
    spec = load_spec(ROOT / "examples" / Path(path).name)
    (script,) = SERVICES["topic"]["command"]
    assert spec.source.topic == parsed(SERVICES["producer"]["command"]).params["to"] == "sessions"
    assert "/public/default/sessions/partitions" in script


@pytest.mark.parametrize("name", [n for n, s in SERVICES.items() if "entrypoint" in s])
def test_scripts_are_shell(name: str) -> None:
    shell, flags = SERVICES[name]["entrypoint"]
    assert flags == "-euc"
    (script,) = SERVICES[name]["command"]
    done = subprocess.run([shell, "-n"], input=script.replace("$$", "$"), text=True, capture_output=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_state_has_its_place() -> None:
    store = SERVICES["worker"]["environment"]["TIMELINE_STORE"].removeprefix("file:")
    assert f"states:{store}" in SERVICES["worker"]["volumes"]
    made = " ".join(word for kind, words in instructions() if kind == "RUN" for word in words)
    assert f"--owner 10001 --group 10001 {store}" in made


def test_image_is_pinned_small_and_without_rights() -> None:
    steps = instructions()
    bases = {words[0] for kind, words in steps if kind == "FROM"}
    assert len(bases) == 1
    assert RELEASE.fullmatch(bases.pop())
    stages = [index for index, (kind, _) in enumerate(steps) if kind == "FROM"]
    assert len(stages) == 2
    last = steps[stages[-1] :]
    assert [words for kind, words in last if kind == "USER"] == [["10001:10001"]]
    assert [kind for kind, _ in last if kind == "COPY"] == ["COPY"]
    assert ("ENTRYPOINT", ["[timeline]"]) in last
    installs = [shlex.join(w) for kind, w in steps if kind == "RUN" and "install" in w]
    assert any("--require-hashes -r requirements-image.lock" in words for words in installs)


def test_what_is_copied_is_there_and_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    sent = {line[1:] for line in ignored if line.startswith("!")}
    assert ignored[1] == "*"
    copies = [words for kind, words in instructions() if kind == "COPY" and "--from" not in words[0]]
    copied = {source for words in copies for source in words[:-1]}
    assert copied == sent
    assert all((ROOT / source).exists() for source in copied)
    found = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]
    assert {name.rstrip("*") for name in found["include"]} <= copied


def has_compose() -> bool:
    command = ["docker", "compose", "version"]
    return shutil.which("docker") is not None and not subprocess.run(command, capture_output=True).returncode


@pytest.mark.skipif(not has_compose(), reason="docker compose is not on this machine")
def test_compose_understands_it() -> None:
    command = ["docker", "compose", "--profile", "demo", "config", "--services"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) == set(SERVICES)
