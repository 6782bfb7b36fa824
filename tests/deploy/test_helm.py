"""The chart in deploy/helm: what it says is understood by Helm, by Kubernetes and by `timeline` itself."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest
import typer
import yaml

from tests.support.helm import CHART, helm, missing, rendered
from tests.support.places import ROOT
from timeline.cli.main import make_app

REASON = missing()
needs_helm = pytest.mark.skipif(REASON is not None, reason=REASON or "")

PULSAR = {"pulsar": {"serviceUrl": "pulsar://pulsar:6650"}}
#: Everything that can be asked for.
ALL: dict[str, Any] = {
    "image": {"repository": "registry.example.com/timeline", "tag": "0.2.0", "digest": f"sha256:{'ab' * 32}"},
    "imagePullSecrets": ["registry"],
    "temporal": {"address": "temporal:7233", "namespace": "plays"},
    "pulsar": {"serviceUrl": "pulsar+ssl://pulsar:6651", "adminUrl": "https://pulsar:8443"},
    "store": "s3://states/plays",
    "env": {"TIMELINE_TASK_QUEUE": "plays", "TIMELINE_MAX_NODES": 500},
    "secretEnv": {"TEMPORAL_API_KEY": {"secret": "temporal", "key": "api-key"}},
    "secretFiles": {
        "PULSAR_TOKEN_FILE": {"secret": "pulsar", "key": "token"},
        "TIMELINE_ENCRYPTION_KEYS_FILE": {"secret": "keys", "key": "keys"},
    },
    "worker": {"builds": [{"id": "0.4", "tag": "0.4.0"}, {"id": 0.5, "tag": "0.5.0", "replicas": 3}]},
    "page": {"enabled": True, "hosts": ["plays.example.com"], "token": {"secret": "page", "key": "token"}},
    "keda": {"enabled": True, "authentication": "temporal"},
    "nodeSelector": {"disk": "fast"},
    "tolerations": [{"key": "spot", "operator": "Exists"}],
    "podAnnotations": {"a": "b"},
    "serviceAccount": {"annotations": {"role": "states"}},
}
WAYS = {"least": PULSAR, "all": ALL, "files": {"feeder": {"enabled": False}}}
BY_PROXY: dict[str, Any] = PULSAR | {"page": {"enabled": True, "proxyHeader": "X-User", "readOnly": True}}


def parsed(arguments: list[str]) -> Any:
    """The arguments of `timeline` as its own parser takes them; fails where it would."""
    group: Any = typer.main.get_command(make_app())
    return group.commands[arguments[0]].make_context(arguments[0], list(arguments[1:])).params


def pods(documents: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The pods' specs by the names of what runs them."""
    return {
        d["metadata"]["name"]: d["spec"]["template"]["spec"]
        for d in documents
        if d["kind"] in ("Deployment", "Job")
    }


def only(pod: dict[str, Any]) -> dict[str, Any]:
    [container] = pod["containers"]
    assert isinstance(container, dict)
    return container


def test_versions_agree() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert chart["appVersion"] == project["version"]


def test_every_value_has_its_kind() -> None:
    """Helm refuses a value that its schema does not know, so that none is misspelt in vain."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())

    def compare(value: Any, kind: dict[str, Any], place: str) -> None:
        if "properties" in kind:
            assert kind["additionalProperties"] is False, place
            for name, one in value.items():
                compare(one, kind["properties"][name], f"{place}.{name}")

    compare(values, schema, "values")
    assert set(schema["properties"]) - set(values) == {"global"}


@needs_helm
@pytest.mark.parametrize("way", WAYS)
def test_helm_finds_nothing_to_complain_of(way: str) -> None:
    done = helm("lint", str(CHART), "--strict", values=WAYS[way])
    assert done.returncode == 0, done.stdout + done.stderr


@needs_helm
@pytest.mark.parametrize("values", [*WAYS.values(), BY_PROXY], ids=[*WAYS, "proxy"])
def test_kubernetes_understands_it(values: dict[str, Any]) -> None:
    validate = pytest.importorskip("kubernetes_validate")
    kinds = []
    for document in rendered(values):
        kinds.append(document["kind"])
        if document["apiVersion"].startswith("keda.sh/"):
            continue  # Not Kubernetes' own.
        validate.validate(document, "1.30", strict=True)
    assert kinds.count("Deployment") >= 1


@needs_helm
def test_what_runs_is_what_timeline_understands() -> None:
    found = pods(rendered(ALL))
    assert set(found) == {
        "plays-timeline-worker-0-4",
        "plays-timeline-worker-0-5",
        "plays-timeline-feeder",
        "plays-timeline-page",
        "plays-timeline-upgrade",
    }
    args = {name: parsed(only(pod)["args"]) for name, pod in found.items()}
    assert [args[f"plays-timeline-worker-{b}"]["build_id"] for b in ("0-4", "0-5")] == ["0.4", "0.5"]
    assert args["plays-timeline-upgrade"]["build"] == "0.5"
    page = args["plays-timeline-page"]
    names = ["plays-timeline-page", "plays-timeline-page.here", "plays-timeline-page.here.svc"]
    assert [*page["allow_host"]] == [*names, "plays.example.com"]
    assert str(page["token_file"]) == "/run/timeline/page-token/token"
    images = {name: only(pod)["image"].rpartition("/")[2] for name, pod in found.items()}
    assert images["plays-timeline-worker-0-4"] == "timeline:0.4.0"
    # All else is of the build on which the nodes are to run.
    assert {image for name, image in images.items() if "0-4" not in name} == {"timeline:0.5.0"}
    [by_digest] = {only(pod)["image"] for pod in pods(rendered(ALL | {"worker": {}})).values()}
    assert by_digest == f"registry.example.com/timeline@sha256:{'ab' * 32}"


@needs_helm
@pytest.mark.parametrize("way", WAYS)
def test_probes_ask_where_it_listens(way: str) -> None:
    for name, pod in pods(rendered(WAYS[way])).items():
        container, told = only(pod), parsed(only(pod)["args"])
        if "upgrade" in name:
            continue
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        assert told["metrics_address"] == f"0.0.0.0:{ports['metrics']}"
        if "page" in name:
            assert container["readinessProbe"]["tcpSocket"]["port"] == "http"
            assert told["port"] == ports["http"]
            continue
        assert told["health_address"] == f"0.0.0.0:{ports['health']}"
        asked = {
            probe: container[f"{probe}Probe"]["httpGet"] for probe in ("liveness", "readiness", "startup")
        }
        assert {get["port"] for get in asked.values()} == {"health"}
        assert [asked[p]["path"] for p in ("liveness", "readiness", "startup")] == [
            "/healthz",
            "/readyz",
            "/healthz",
        ]


@needs_helm
def test_nothing_has_more_rights_or_memory_than_it_needs() -> None:
    for pod in pods(rendered(ALL)).values():
        container = only(pod)
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert "memory" in container["resources"]["limits"]
        assert "cpu" in container["resources"]["requests"]


@needs_helm
def test_secrets_are_where_variables_say() -> None:
    for pod in pods(rendered(ALL)).values():
        container = only(pod)
        mounts = {m["mountPath"]: m["name"] for m in container["volumeMounts"]}
        volumes = {v["name"]: v.get("secret", {}) for v in pod["volumes"]}
        told = {e["name"]: e for e in container["env"]}
        assert len(told) == len(container["env"])
        for variable, secret in ALL["secretFiles"].items():
            place, _, key = told[variable]["value"].rpartition("/")
            volume = volumes[mounts[place]]
            assert (volume["secretName"], key) == (secret["secret"], secret["key"])
            # Of root and our group: `workflows.disk.secret_lines` takes such a file.
            assert (volume["defaultMode"], pod["securityContext"]["fsGroup"]) == (0o440, 10001)
        assert told["TEMPORAL_API_KEY"]["valueFrom"] == {
            "secretKeyRef": {"name": "temporal", "key": "api-key"}
        }
        assert told["TIMELINE_MAX_NODES"]["value"] == "500"
        assert "api-key" not in json.dumps([e.get("value") for e in told.values()])


@needs_helm
def test_workers_of_a_build_are_its_own() -> None:
    """Two Deployments whose selectors met would take each other's pods."""
    documents = rendered(ALL)
    workers = [d for d in documents if d["kind"] == "Deployment" and "-worker-" in d["metadata"]["name"]]
    selectors = [tuple(sorted(d["spec"]["selector"]["matchLabels"].items())) for d in workers]
    assert len(set(selectors)) == len(workers) == 2
    for document in documents:
        if document["kind"] == "Deployment":
            labels = document["spec"]["template"]["metadata"]["labels"]
            assert document["spec"]["selector"]["matchLabels"].items() <= labels.items()
    scaled = [d for d in documents if d["kind"] == "ScaledObject"]
    assert [d["spec"]["scaleTargetRef"]["name"] for d in scaled] == [d["metadata"]["name"] for d in workers]
    told = [d["spec"]["triggers"][0]["metadata"] for d in scaled]
    assert [(t["taskQueue"], t["workerDeploymentBuildId"]) for t in told] == [
        ("plays", "0.4"),
        ("plays", "0.5"),
    ]
    # Who scales them says how many there are.
    assert not any("replicas" in d["spec"] for d in workers)


@needs_helm
@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({}, "the feeder needs pulsar.serviceUrl"),
        (PULSAR | {"page": {"enabled": True}}, "say who may ask the page"),
        (
            PULSAR | {"worker": {"builds": [{"id": "1"}], "current": "2"}},
            'worker.current is "2", which is none',
        ),
        (PULSAR | {"workers": 3}, "workers"),
        (PULSAR | {"store": "file:/states"}, "store"),
        (PULSAR | {"env": {"temporal": "x"}}, "'temporal' does not match"),
    ],
)
def test_what_cannot_be_is_refused(values: dict[str, Any], why: str) -> None:
    done = helm("template", "plays", str(CHART), values=values)
    assert done.returncode != 0
    assert why in done.stderr
