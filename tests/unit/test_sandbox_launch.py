"""The launcher and a running job: what is accepted, how every end is told, what stays behind."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from safehold import errors
from safehold.errors import (
    DeniedError,
    InvalidError,
    SafeholdError,
    TamperedError,
    UnavailableError,
)
from safehold.sandbox import channel, launch, start
from safehold.sandbox.job import LEVELS, MIB, RECIPES, Job, Limits, Outcome, Probe
from safehold.sandbox.launch import Launcher
from safehold.sandbox.probe import _LACKING, find_mechanisms, probe, try_level
from safehold.sandbox.start import EVERYTHING

HERE = Path(__file__).resolve().parent
LIMITS = Limits(wall=20.0, cpu=20)


class JobLauncher(Launcher):
    _recipes = {"job": "sandbox_jobs", "absent": "no_such_module"}
    _extra = (HERE,)


@pytest.fixture(scope="module")
def launcher():
    return JobLauncher()


def job(name: str, *, limits: Limits = LIMITS, inputs=(), least="E0", **spec) -> Job:
    return Job(
        recipe="job",
        spec=json.dumps({"job": name, **spec}).encode(),
        inputs=inputs,
        limits=limits,
        least=least,
    )


def run(launcher: Launcher, name: str, **more) -> tuple[list[channel.Frame], Outcome]:
    with launcher.start(job(name, **more)) as running:
        frames = list(running.frames())
    return frames, running.wait()


def end(launcher: Launcher, name: str, **more) -> tuple[SafeholdError, Outcome, list[str]]:
    """Run a job that fails; return the error, the outcome and the frames before it."""
    seen: list[str] = []
    with launcher.start(job(name, **more)) as running:
        with pytest.raises(SafeholdError) as caught:
            for frame in running.frames():
                seen.append(frame.header["type"])
        return caught.value, running.wait(), seen


# --- what is accepted ---


def test_only_listed_recipes_start(launcher):
    assert sorted(Launcher._recipes) == ["feature", "ingest", "train"]
    for recipe in ("os", "sandbox_jobs", "safehold.sandbox.check", "", "INGEST"):
        with pytest.raises(DeniedError) as caught:
            Launcher().start(Job(recipe=recipe, limits=LIMITS, least="E0"))
        assert caught.value.rule == "sandbox.recipe"
    assert all(module.startswith("safehold.") for module in RECIPES.values())


def test_a_level_that_does_not_exist_is_refused(launcher):
    for least in ("E9", "", "e3", "3"):
        with pytest.raises(InvalidError):
            launcher.start(job("empty", least=least))


@pytest.mark.parametrize("have", LEVELS)
@pytest.mark.parametrize("least", LEVELS)
def test_a_job_never_runs_below_its_least_level(launcher, monkeypatch, have, least):
    """The levels are really run: a weaker machine starts what it may, and says what it is."""
    lacking = dict(reversed(_LACKING))[have]
    found = try_level(have, EVERYTHING - lacking)
    assert found is not None
    monkeypatch.setattr(launch, "find_mechanisms", lambda: (EVERYTHING - lacking, found))
    if LEVELS.index(have) < LEVELS.index(least):
        with pytest.raises(UnavailableError) as caught:
            launcher.start(job("empty", least=least))
        assert caught.value.rule == "sandbox.level"
        assert "namespaces" in caught.value.fix
        return
    frames, outcome = run(launcher, "echo", least=least)
    assert len(frames) == 1
    assert outcome.ok
    assert outcome.level == have
    assert ("namespaces" in outcome.mechanisms) == (have in {"E2", "E3"})
    assert any(name.startswith("landlock-") for name in outcome.mechanisms) == (have in {"E1", "E3"})


def test_the_default_level_is_the_highest():
    assert Job(recipe="ingest", limits=LIMITS).least == "E3"


def test_inputs_must_be_read_only_sealed_or_files(launcher, tmp_path):
    (tmp_path / "source").write_bytes(b"rows")
    loose = os.memfd_create("loose", os.MFD_ALLOW_SEALING)
    loose_read_only = os.open(f"/proc/self/fd/{loose}", os.O_RDONLY)
    writable = os.open(tmp_path / "source", os.O_RDWR)
    source = os.open(tmp_path / "source", os.O_RDONLY)
    folder = os.open(tmp_path, os.O_RDONLY)
    read, write = os.pipe()
    sealed = channel.seal_bytes(b"x")
    try:
        for bad in (loose, writable, write):
            with pytest.raises(InvalidError) as caught:
                launcher.start(job("echo", inputs=[bad]))
            assert caught.value.rule == "sandbox.input.read_only"
        for bad in (read, folder):
            with pytest.raises(InvalidError) as caught:
                launcher.start(job("echo", inputs=[bad]))
            assert caught.value.rule == "sandbox.input.kind"
        with pytest.raises(TamperedError):
            launcher.start(job("echo", inputs=[loose_read_only]))
        frames, _ = run(launcher, "echo", inputs=[source, sealed])
        assert frames[0].header["inputs"] == 2
    finally:
        for fd in (loose, loose_read_only, writable, source, folder, read, write, sealed):
            os.close(fd)


# --- what a job gets ---


def test_a_job_gets_its_spec_and_nothing_on_its_command_line(launcher):
    frames, outcome = run(launcher, "echo", secret="pseudonym key")
    (frame,) = frames
    assert frame.header["spec"] == {"job": "echo", "secret": "pseudonym key"}
    assert frame.header["arguments"] == []
    assert bytes(frame.body) == b"body"
    assert outcome.ok
    assert outcome.reason == "finished"
    assert (outcome.frames, outcome.printed, outcome.started) == (1, False, True)
    assert outcome.seconds > 0
    assert "secret" not in repr(job("echo", secret="pseudonym key"))


def test_a_job_sees_almost_nothing(launcher, tmp_path):
    if launcher.probe.level != "E3":
        pytest.skip("this machine does not reach E3")
    paths = ["/etc/passwd", "/etc/shadow", "/etc/hostname", "/var", "/run", "/proc/self", str(tmp_path)]
    (frame,), _ = run(launcher, "view", paths=[*paths, str(Path.home() / ".ssh"), str(HERE.parents[1] / ".git")])
    seen = frame.header
    assert seen["there"] == []
    assert seen["host"] == "sandbox"
    assert seen["ids"] == [65534, 65534]
    assert seen["pid"]
    assert set(seen["environment"]) <= {"HOME", "TMPDIR", "LANG", "LC_ALL", "TZ", "JAX_PLATFORMS", "MALLOC_ARENA_MAX", "PWD", "LC_CTYPE"}
    assert not seen["etc"] or set(seen["etc"]) <= {"ld.so.cache"}
    assert seen["home"] is None or seen["home"] == []


def test_sealed_parts_reach_a_job(launcher):
    fd = channel.pack_parts([({"person": "p"}, pa.table({"n": range(50)}))])
    with launcher.start(job("read", inputs=[fd])) as running:
        os.close(fd)  # the caller may, at once
        (frame,) = running.frames()
    assert frame.header == {"type": "part", "header": {"person": "p"}, "rows": 50}


def test_arrow_with_its_thread_pool_runs_inside_the_limits_of_ingest(launcher):
    words = ["one", "two", "three"] * 100_000
    fd = channel.pack_parts([({}, pa.table({"n": range(len(words)), "word": words}))])
    try:
        (frame,), outcome = run(launcher, "arrow", inputs=[fd], limits=Limits.of("ingest"))
    finally:
        os.close(fd)
    assert frame.header == {"type": "sum", "sum": sum(range(len(words))), "rows": 3}
    assert pa.ipc.open_stream(frame.body).read_all()["n_sum"].to_pylist().__len__() == 3
    assert outcome.ok


def test_jax_runs_inside_the_limits_of_training(launcher):
    pytest.importorskip("jax")
    (frame,), outcome = run(launcher, "jax", limits=Limits.of("train"))
    assert frame.header["sum"] == 256**3
    assert outcome.ok


def test_a_pool_of_processes_runs(launcher):
    (frame,), _ = run(launcher, "pool")
    assert frame.header["of"] == [n * n for n in range(10)]


def test_a_job_has_temporary_files_of_its_own(launcher):
    (frame,), _ = run(launcher, "files")
    assert frame.header["size"] == 1000


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
    with launcher.start(Job(recipe="absent", limits=LIMITS, least="E0")) as running:
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
        ("bad_error", {"frame": '{"type":"error","code":"none","message":"a","rule":null,"fix":null,"entry":null}'}),
        ("bad_error", {"frame": '{"type":"error","code":"denied","message":"a","rule":null,"fix":null,"entry":7}'}),
        ("bad_error", {"frame": '{"type":"error","code":"denied","message":"a","rule":null,"fix":null,"entry":null,"rows":[1]}'}),
        ("bad_error", {"frame": '{"type":"error","code":"denied","message":1,"rule":null,"fix":null,"entry":null}'}),
    ],
)
def test_a_broken_protocol_ends_the_job_at_once(launcher, name, more):
    begun = time.monotonic()
    error, outcome, _ = end(launcher, name, **more)
    assert type(error) is TamperedError
    assert (outcome.ok, outcome.reason) == (False, "protocol")
    assert time.monotonic() - begun < 10


def test_the_egress_budget_ends_the_job(launcher):
    error, outcome, seen = end(launcher, "many", count=100, size=10_000, limits=replace(LIMITS, egress=55_000))
    assert type(error) is TamperedError
    assert error.rule == "sandbox.egress.budget"
    assert outcome.reason == "budget"
    assert seen == ["item"] * 5
    assert outcome.egress <= 55_000


def test_a_frame_over_its_limit_ends_the_job(launcher):
    error, _, seen = end(launcher, "many", count=1, size=10_000, limits=replace(LIMITS, frame=9_000))
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
    begun = time.monotonic()
    error, outcome, seen = end(launcher, "sleep", limits=replace(LIMITS, wall=1.0))
    assert (type(error), error.rule, seen) == (UnavailableError, "sandbox.wall", ["asleep"])
    assert (outcome.ok, outcome.reason) == (False, "time")
    assert 1.0 <= time.monotonic() - begun < 8


def test_the_wall_clock_holds_while_nobody_reads(launcher):
    running = launcher.start(job("counted", limits=replace(LIMITS, wall=0.8)))
    assert running._over.wait(8)
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
    assert running._over.wait(5)
    assert not running.wait().ok


def test_wait_reads_the_rest_away(launcher):
    outcome = launcher.start(job("many", count=300, size=10_000)).wait()
    assert outcome.ok
    assert outcome.frames == 300


def test_a_job_waits_for_its_reader(launcher):
    """Backpressure: what the pipe does not hold is not produced, and is not stored here either."""
    running = launcher.start(job("counted", limits=replace(LIMITS, egress=1 << 40)))
    next(running.frames())
    time.sleep(0.7)
    waiting = bytearray(4)
    import array
    import termios

    size = array.array("i", waiting)
    fcntl.ioctl(running._egress, termios.FIONREAD, size)
    assert 0 < size[0] <= 1 << 20
    running.kill()
    running.wait()


# --- what stays behind ---


def test_nothing_stays_behind(launcher):
    run(launcher, "empty")
    before = set(os.listdir("/proc/self/fd"))
    threads = threading.active_count()
    groups = sorted(Path("/sys/fs/cgroup").rglob("safehold_*"))
    for name in ("empty", "crash", "echo"):
        launcher.start(job(name)).wait()
    end(launcher, "giant")
    with pytest.raises(InvalidError):
        read, write = os.pipe()
        try:
            launcher.start(job("echo", inputs=[write]))
        finally:
            os.close(read)
            os.close(write)
    deadline = time.monotonic() + 3
    while threading.active_count() > threads and time.monotonic() < deadline:
        time.sleep(0.01)
    assert set(os.listdir("/proc/self/fd")) == before
    assert threading.active_count() <= threads
    assert sorted(Path("/sys/fs/cgroup").rglob("safehold_*")) == groups


def test_nothing_stays_behind_when_no_process_starts(launcher, monkeypatch):
    before = set(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(start.command, "find_bwrap", lambda: "/nowhere/bwrap")
    monkeypatch.setattr(start.command, "enter_command", lambda groups: [])
    monkeypatch.setattr(launch, "find_mechanisms", lambda: (EVERYTHING, Probe(level="E3", kernel="k", mechanisms=())))
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
    thread = threading.Thread(target=lambda: started.append(launcher.start(job("sleep"))))
    thread.start()
    thread.join()
    time.sleep(0.4)
    (running,) = started
    assert next(running.frames()).header["type"] == "asleep"
    assert not running._over.wait(0.3)
    running.kill()
    running.wait()


@pytest.mark.parametrize("level", ["E3", "E1"])
def test_a_job_dies_with_its_launcher(level):
    """Even when the launcher is killed and can do nothing for it."""
    program = f"""
import os, sys, time
sys.path[:0] = {[str(HERE), *sys.path]!r}
import test_sandbox_launch as t
from safehold.sandbox import launch
if {level!r} == "E1":
    launch.find_mechanisms = lambda: (t.EVERYTHING - {{"namespaces"}}, t.Probe(level="E1", kernel="k", mechanisms=()))
running = t.JobLauncher().start(t.job("sleep"))
next(running.frames())
print(running._process.pid, flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as parent:
        pid = int(parent.stdout.readline())
        os.kill(pid, 0)
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 5
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


# --- the probe ---


def test_the_probe_says_what_it_did():
    found = probe()
    assert found.level in LEVELS
    assert found.kernel == os.uname().release
    assert list(found.mechanisms) == sorted(found.mechanisms)
    assert find_mechanisms()[1] is found
    if found.level == "E3":
        assert {"namespaces", "seccomp", "wall-clock", "egress-budget"} <= set(found.mechanisms)


@pytest.mark.parametrize(
    ("patch", "level"),
    [
        ({"bwrap": None}, "E1"),
        ({"bwrap": "/bin/false"}, "E1"),
        ({"abi": 0}, "E2"),
        ({"bwrap": None, "abi": 3}, "E0"),
        ({"bwrap": None, "abi": 0}, "E0"),
        ({"machine": "riscv64"}, "E0"),
    ],
)
def test_the_probe_goes_down_with_what_is_missing(monkeypatch, patch, level):
    from safehold.sandbox import probe as module

    if probe().level != "E3":
        pytest.skip("this machine does not reach E3")
    if "bwrap" in patch:
        monkeypatch.setattr(start.command, "find_bwrap", lambda: patch["bwrap"])
    if "abi" in patch:
        monkeypatch.setattr(module.landlock, "find_abi", lambda libc: patch["abi"])
    if "machine" in patch:
        monkeypatch.setattr(module.platform, "machine", lambda: patch["machine"])
    mechanisms, found = find_mechanisms.__wrapped__()
    assert found.level == level
    if level == "E0":
        assert not {"namespaces", "landlock"} <= mechanisms
        assert "wall-clock" in found.mechanisms


def test_the_probe_does_not_believe_a_sandbox_that_leaks():
    """Namespaces claimed, nothing done: the canary is read, and the level is not granted."""
    assert try_level("E3", EVERYTHING - {"namespaces", "landlock", "seccomp"}) is None
    assert try_level("E1", EVERYTHING - {"namespaces", "seccomp"}) is None


def test_limits_of_recipes():
    assert Limits.of("ingest").egress == 8 << 30
    assert Limits.of("ingest").address_space == 4 << 30
    assert Limits.of("train").pids > Limits.of("ingest").pids
    assert Limits.of("feature").egress == 2 << 30
    assert Limits.of("anything").egress <= 64 * MIB
