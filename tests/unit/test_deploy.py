"""What ships for deployment says what it should: schemas of Kubernetes, systemd's own judgement, and options that exist."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from ruamel.yaml import YAML
from typer.main import get_command

from safehold.cli import build

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
MANIFESTS = [
    one
    for one in sorted((DEPLOY / "kubernetes").rglob("*.yaml"))
    if one.name != "kustomization.yaml"
]
EXPOSED = {"safehold-keeper": 4.0, "safehold-portal": 1.5, "safehold-backup": 1.5}


def documents() -> list[dict[str, Any]]:
    yaml = YAML(typ="safe")
    return [tree for file in MANIFESTS for tree in yaml.load_all(file.read_text("utf-8"))]


def pods() -> list[dict[str, Any]]:
    return [
        one["spec"]["template"]["spec"]
        for one in documents()
        if one["kind"] in {"StatefulSet", "Deployment", "Job"}
    ]


def test_every_manifest_is_what_kubernetes_takes():
    assert len(documents()) > 10
    for tree in documents():
        kubernetes_validate.validate(tree, "1.37", strict=True)


def test_every_namespace_denies_what_is_not_stated():
    spaces = {"kubernetes": "network.yaml", "kubernetes/segment": "network.yaml"}
    yaml = YAML(typ="safe")
    for folder, name in spaces.items():
        policies = list(yaml.load_all((DEPLOY / folder / name).read_text("utf-8")))
        closed = policies[0]["spec"]
        assert closed == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
        for one in policies[1:]:
            for rule in one["spec"].get("ingress", []) + one["spec"].get("egress", []):
                assert rule["ports"], one["metadata"]["name"]
                for peer in rule.get("from", rule.get("to", [])):
                    assert peer.get("ipBlock", {}).get("cidr") != "0.0.0.0/0"


def test_a_segment_reaches_the_entrance_and_nothing_else():
    policies = list(
        YAML(typ="safe").load_all((DEPLOY / "kubernetes/segment/network.yaml").read_text())
    )
    rules = [rule for one in policies for rule in one["spec"].get("egress", [])]
    assert [rule["ports"] for rule in rules] == [[{"protocol": "TCP", "port": 7450}]]
    assert not any(one["spec"].get("ingress") for one in policies)


def test_every_container_is_shut_as_far_as_it_can_be():
    assert pods()
    for pod in pods():
        assert pod["automountServiceAccountToken"] is False
        assert pod["runtimeClassName"] == "gvisor"
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for one in pod["containers"]:
            shut = one["securityContext"]
            assert shut["allowPrivilegeEscalation"] is False
            assert shut["readOnlyRootFilesystem"] is True
            assert shut["capabilities"]["drop"] == ["ALL"]
            assert "limits" in one["resources"]
            if one["name"] != "keeper":  # it begins as root to take an account of its own
                assert shut["runAsNonRoot"] is True
                assert "add" not in shut["capabilities"]
                assert all(
                    m["readOnly"] for m in one["volumeMounts"] if m["name"] in {"home", "outside"}
                )


def test_what_lies_outside_the_home_is_a_volume_of_its_own_that_nothing_backs_up():
    claims = {
        one["metadata"]["name"]: one
        for one in documents()
        if one["kind"] == "PersistentVolumeClaim"
    }
    assert claims.keys() == {"home", "outside"}
    assert claims["outside"]["metadata"]["labels"] == {"safehold/backup": "never"}
    unit = (DEPLOY / "systemd/safehold-backup.service").read_text()
    assert "safehold-outside" not in re.findall(r"ReadWritePaths=(.*)", unit)[0]


def commands() -> list[list[str]]:
    found = [
        shlex.split(line.removeprefix("ExecStart="))[1:]
        for unit in UNITS
        for line in unit.read_text("utf-8").splitlines()
        if line.startswith("ExecStart=")
    ]
    entries = re.findall(
        r"ENTRYPOINT \[(.*)\]", (DEPLOY / "container/Containerfile").read_text("utf-8")
    )
    return found + [[part.strip().strip('"') for part in one.split(",")][1:] for one in entries]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_that_is_started_exists_with_its_options(words):
    command: Any = get_command(build())
    rest = list(words)
    while rest and not rest[0].startswith("-"):
        command = command.commands[rest.pop(0)]
    known = {name for parameter in command.params for name in parameter.opts}
    assert {one for one in rest if one.startswith("--")} <= known


@pytest.mark.parametrize("unit", UNITS, ids=lambda one: one.stem)
def test_systemd_finds_no_fault_and_little_exposed(unit, tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not on this machine")
    judged = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", str(unit)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", judged.stdout)
    assert found is not None, judged.stderr
    assert float(found[1]) <= EXPOSED[unit.stem]
    # the program is not installed on this machine: in its place stands one that is
    copy = tmp_path / unit.name
    copy.write_text(unit.read_text().replace("/opt/safehold/bin/safehold", "/bin/true"))
    for other in (DEPLOY / "systemd").iterdir():
        if other.name != unit.name:
            (tmp_path / other.name).write_text(
                other.read_text().replace("/opt/safehold/bin/safehold", "/bin/true")
            )
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(copy)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    wrong = [line for line in checked.stderr.splitlines() if unit.name in line]
    assert wrong == []


def test_the_portals_image_is_nobodys_but_its_own():
    text = (DEPLOY / "container/Containerfile").read_text("utf-8")
    portal = text.split("FROM base AS portal")[1]
    assert "USER 10002:10002" in portal
    assert not re.search(r"^ADD ", text, re.MULTILINE)
    assert "curl" not in text
