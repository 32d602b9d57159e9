"""How every end of a job is told, and what stays behind."""

from __future__ import annotations

import array
import fcntl
import os
import signal
import subprocess
import sys
import termios
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from safehold import errors
from safehold.errors import (
    InvalidError,
    SafeholdError,
    TamperedError,
    UnavailableError,
)
from safehold.sandbox import cgroup, launch, start
from safehold.sandbox.job import Job, Probe
from safehold.sandbox.start import EVERYTHING

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from sandbox_harness import AT_ONCE, LIMITS, JobLauncher, end, job, run  # noqa: E402


@pytest.fixture(scope="module")
def launcher():
    return JobLauncher()


# --- how it ends ---


@pytest.mark.parametrize("code", sorted(errors.ERRORS))
def test_an_error_of_ours_arrives_as_itself(launcher, code):
    error, outcome, seen = end(launcher, "refuse", code=code)
    assert type(error) is errors.ERRORS[code]
    assert (error.message, error.rule, error.fix) == ("the rule says no", "test.rule", "do not")
    assert seen == ["before"]
    assert (outcome.ok, outcome.reason) == (False, "refused")


@pytest.mark.parametrize("name", ["crash", "leave", "vanish"])
def test_any_other_end_is_only_failed(launcher, name):
    error, outcome, _ = end(launcher, name)
    assert type(error) is SafeholdError
    assert error.rule == "sandbox.failed"
    assert "secret" not in str(error.payload())
    assert (outcome.ok, outcome.reason, outcome.started) == (False, "failed", True)


def test_a_recipe_that_does_not_exist_is_failed(launcher):
    running = launcher.start(Job(recipe="absent", limits=LIMITS, least="E0"))
    with pytest.raises(SafeholdError, match="failed"):
        list(running.frames())
    assert running.wait().started


def test_success_needs_the_last_frame_and_a_clean_exit(launcher):
    _, outcome, _ = end(launcher, "claim_success")
    assert not outcome.ok


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("cut", {}),
        ("giant", {"limits": replace(LIMITS, egress=1 << 40)}),
        ("garbage", {}),
        ("twice", {}),
        ("start_again", {}),
        ("long_error", {}),
        ("error_with_control", {}),
        ("error_with_rule", {}),
        ("bad_error", {"frame": '{"type":"error"}'}),
        (
            "bad_error",
            {
                "frame": '{"type":"error","code":"none","message":"a","rule":null,"fix":null,"entry":null}'
            },
        ),
        (
            "bad_error",
            {
                "frame": '{"type":"error","code":"denied","message":"a","rule":null,"fix":null,"entry":7}'
            },
        ),
        (
            "bad_error",
            {
                "frame": '{"type":"error","code":"denied","message":"a","rule":null,"fix":null,"entry":null,"rows":[1]}'
            },
        ),
        (
            "bad_error",
            {
                "frame": '{"type":"error","code":"denied","message":1,"rule":null,"fix":null,"entry":null}'
            },
        ),
    ],
)
def test_a_broken_protocol_ends_the_job_at_once(launcher, name, more):
    begun = time.monotonic()
    error, outcome, _ = end(launcher, name, **more)
    assert type(error) is TamperedError
    assert (outcome.ok, outcome.reason) == (False, "protocol")
    assert time.monotonic() - begun < AT_ONCE


def test_the_egress_budget_ends_the_job(launcher):
    error, outcome, seen = end(
        launcher, "many", count=100, size=10_000, limits=replace(LIMITS, egress=55_000)
    )
    assert type(error) is TamperedError
    assert error.rule == "sandbox.egress.budget"
    assert outcome.reason == "budget"
    assert seen == ["item"] * 5
    assert outcome.egress <= 55_000


def test_a_frame_over_its_limit_ends_the_job(launcher):
    error, _, seen = end(
        launcher, "many", count=1, size=10_000, limits=replace(LIMITS, frame=9_000)
    )
    assert (type(error), seen) == (TamperedError, [])


def test_what_is_printed_is_counted_and_thrown_away(launcher):
    frames, outcome = run(launcher, "chatter")
    assert [frame.header for frame in frames] == [{"type": "done"}]
    assert outcome.printed
    assert "secret" not in repr(outcome)


def test_too_much_print_ends_the_job(launcher):
    error, outcome, _ = end(launcher, "chatter", limits=replace(LIMITS, stderr=5))
    assert outcome.reason == "budget"
    assert error.rule == "sandbox.stderr.budget"


def test_the_wall_clock_ends_the_job(launcher):
    for wall in (1.0, 4.0, 16.0, 64.0):  # its start counts, and takes long on a busy machine
        begun = time.monotonic()
        error, outcome, seen = end(launcher, "sleep", limits=replace(LIMITS, wall=wall))
        assert (type(error), error.rule) == (UnavailableError, "sandbox.wall")
        assert (outcome.ok, outcome.reason) == (False, "time")
        assert wall <= time.monotonic() - begun < wall + AT_ONCE
        if seen:
            break
    assert seen == ["asleep"]


def test_the_wall_clock_holds_while_nobody_reads(launcher):
    running = launcher.start(job("counted", limits=replace(LIMITS, wall=0.8)))
    assert running._over.wait(AT_ONCE)
    assert running.wait().reason == "time"


def test_kill_ends_the_job(launcher):
    running = launcher.start(job("sleep"))
    assert next(running.frames()).header["type"] == "asleep"
    running.kill()
    with pytest.raises(UnavailableError) as caught:
        list(running.frames())
    assert caught.value.rule == "sandbox.stopped"
    assert running.wait().reason == "stopped"
    running.kill()  # again, when it is over: nothing happens


def test_leaving_the_context_ends_the_job(launcher):
    with launcher.start(job("sleep")) as running:
        next(running.frames())
    assert running.wait().reason == "stopped"


def test_giving_the_stream_up_ends_the_job(launcher):
    running = launcher.start(job("sleep"))
    stream = running.frames()
    next(stream)
    stream.close()
    assert running._over.wait(AT_ONCE)
    assert not running.wait().ok


def test_wait_reads_the_rest_away(launcher):
    outcome = launcher.start(job("many", count=300, size=10_000)).wait()
    assert outcome.ok
    assert outcome.frames == 300


def waiting(pipe):
    """Return how many bytes lie in a pipe."""
    size = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, size)
    return size[0]


def test_a_job_waits_for_its_reader(launcher):
    """Backpressure: what the pipe does not hold is not produced, and is not stored here either."""
    running = launcher.start(job("counted", limits=replace(LIMITS, egress=1 << 40)))
    next(running.frames())
    before, now = -1, waiting(running._egress)
    until = time.monotonic() + AT_ONCE
    while (now == 0 or now != before) and time.monotonic() < until:  # until it stands still
        time.sleep(0.2)
        before, now = now, waiting(running._egress)
    assert 0 < now == before <= 1 << 20
    running.kill()
    running.wait()


# --- what stays behind ---


def test_nothing_stays_behind(launcher, monkeypatch):
    run(launcher, "empty")
    made = []

    def create_group(**bounds):
        made.append(cgroup.create_group(**bounds))
        return made[-1]

    monkeypatch.setattr(start, "create_group", create_group)
    before = set(os.listdir("/proc/self/fd"))
    threads = threading.active_count()
    for name in ("empty", "crash", "echo"):
        launcher.start(job(name)).wait()
    end(launcher, "giant")
    ends = os.pipe()
    with pytest.raises(InvalidError):
        launcher.start(job("echo", inputs=[ends[1]]))
    os.close(ends[0])
    os.close(ends[1])
    deadline = time.monotonic() + AT_ONCE
    while threading.active_count() > threads and time.monotonic() < deadline:
        time.sleep(0.01)
    assert set(os.listdir("/proc/self/fd")) == before
    assert threading.active_count() <= threads
    assert len(made) == 4
    assert not any(folder.exists() for group in made for folder in group.folders)


def test_nothing_stays_behind_when_no_process_starts(launcher, monkeypatch):
    before = set(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(start.command, "find_bwrap", lambda: "/nowhere/bwrap")
    monkeypatch.setattr(start.command, "enter_command", lambda groups: [])
    monkeypatch.setattr(
        launch,
        "find_mechanisms",
        lambda: (EVERYTHING, Probe(level="E3", kernel="k", mechanisms=())),
    )
    with pytest.raises(UnavailableError):
        launcher.start(job("empty"))
    assert set(os.listdir("/proc/self/fd")) == before


def test_a_boot_that_cannot_confine_never_runs_the_recipe(launcher, monkeypatch):
    """A mechanism the boot does not know to apply ends it: no started frame, no recipe."""
    if launcher.probe.level != "E3":
        pytest.skip("this machine does not reach E3")
    monkeypatch.setattr(start.landlock, "find_abi", lambda libc: 0)
    error, outcome, seen = end(launcher, "echo")
    assert seen == []
    assert (outcome.started, outcome.reason) == (False, "not started")
    assert error.rule == "sandbox.start"


def test_a_job_outlives_the_thread_that_started_it(launcher):
    """A sandbox dies with the thread that forked it, so no caller's thread may be that one."""
    started: list = []

    def begin():
        running = launcher.start(job("sleep"))
        started.extend([running, next(running.frames()).header["type"]])

    thread = threading.Thread(target=begin)
    thread.start()
    thread.join()
    running, first = started
    assert first == "asleep"
    assert not running._over.wait(0.5)
    running.kill()
    running.wait()


@pytest.mark.parametrize("level", ["E3", "E1"])
def test_a_job_dies_with_its_launcher(level):
    """Even when the launcher is killed and can do nothing for it."""
    program = f"""
import os, sys, time
sys.path[:0] = {[str(HERE), *sys.path]!r}
import sandbox_harness as t
from safehold.sandbox import launch
from safehold.sandbox.job import Probe
from safehold.sandbox.start import EVERYTHING
if {level!r} == "E1":
    launch.find_mechanisms = lambda: (EVERYTHING - {{"namespaces"}}, Probe(level="E1", kernel="k", mechanisms=()))
running = t.JobLauncher().start(t.job("sleep"))
next(running.frames())
print(running._process.pid, flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as parent:
        pid = int(parent.stdout.readline())
        os.kill(pid, 0)
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + AT_ONCE
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            break
        if state == "Z":
            break
        time.sleep(0.02)
    else:
        pytest.fail("the job is still there")
