"""``safehold alert replay`` as somebody outside runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.command_line import SOURCES
from tests.sentinel_desk import HOUR, NOW, numbered, routine, use

from safehold.clock import moment_of


def line(event) -> str:
    return json.dumps(
        {
            "t": moment_of(event.t_us).replace("+00:00", "Z"), "principal": event.principal, "kind": event.kind,
            "role": event.role, "team": event.team, "action": event.action, "objects": list(event.objects),
            "segment": event.segment, "purpose": event.purpose, "rows": event.rows, "bytes": event.bytes,
            "grant": event.grant, "outcome": event.outcome,
        }
    )  # fmt: skip


def run(*words: object, seed: str = "0") -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(SOURCES), "PYTHONHASHSEED": seed}
    return subprocess.run(
        [sys.executable, "-m", "safehold", "alert", "replay", *map(str, words)],
        capture_output=True, text=True, check=False, env=environment, timeout=120,
    )  # fmt: skip


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    odd = [use("red-3", NOW + 11 * HOUR, action="embedding.export")]
    wild = [
        use("bot-red", NOW + 12 * HOUR + n * 500_000, segment=f"fr.{n % 7}") for n in range(300)
    ]
    events = numbered([*routine(), *odd, *wild])
    path = tmp_path_factory.mktemp("replay") / "events.jsonl"
    path.write_text("\n".join(map(line, events)) + "\n")
    return path


def test_the_whole_contract(file):
    done = run(file, "--json", "--learn-days", 14)
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert set(told) == {
        "alerts",
        "events",
        "principals",
        "learn_days",
        "budget",
        "learning",
        "thresholds",
    }
    lines = file.read_text().splitlines()
    assert told["events"] == len(lines)
    for alert in told["alerts"]:
        assert set(alert) == {"t", "principal", "signal", "severity", "sentence", "events"}
        named = [json.loads(lines[number - 1]) for number in alert["events"]]
        assert {one["principal"] for one in named} == {alert["principal"]}
        assert alert["t"].replace("+00:00", "Z") == named[-1]["t"]
    assert {("red-3", "export"), ("bot-red", "agent")} <= {
        (one["principal"], one["signal"]) for one in told["alerts"]
    }
    assert run(file, "--json", seed="77").stdout == done.stdout, "the same on every machine"


def test_for_people(file):
    done = run(file)
    assert done.returncode == 0
    assert "red-3: export or attempted export" in done.stdout
    assert "lines " in done.stdout
    assert "alerts about" in done.stderr


def test_nothing_is_told_of_days_that_teach(file):
    done = run(file, "--json", "--learn-days", 200)
    assert json.loads(done.stdout)["alerts"] == []
    assert json.loads(done.stdout)["learning"] is True


def test_a_wrong_line_is_named_and_not_quoted(tmp_path):
    path = tmp_path / "bad.jsonl"
    good = line(use("red-3", NOW))
    path.write_text(f"{good}\n{good.replace('human', 'hunter2')}\n")
    done = run(path, "--json")
    assert (done.returncode, done.stdout) == (2, "")
    error = json.loads(done.stderr)["error"]
    assert "file bad.jsonl, row 2, field kind" in error["message"]
    assert "hunter2" not in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("missing.jsonl",),
        (),
        ("missing.jsonl", "--learn-days", "-3"),
        ("missing.jsonl", "--budget", "0"),
    ],
)
def test_wrong_usage(words):
    assert run(*words, "--json").returncode == 2


def test_an_empty_file_has_no_alerts(tmp_path):
    path = tmp_path / "empty.jsonl"
    path.write_text("")
    assert json.loads(run(path, "--json").stdout)["alerts"] == []
