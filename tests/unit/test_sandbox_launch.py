"""What the launcher accepts, and what a job gets."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from safehold.errors import (
    DeniedError,
    InvalidError,
    TamperedError,
    UnavailableError,
)
from safehold.sandbox import channel, launch
from safehold.sandbox.job import LEVELS, RECIPES, Job, Limits
from safehold.sandbox.launch import Launcher
from safehold.sandbox.probe import _LACKING, try_level
from safehold.sandbox.start import EVERYTHING

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from sandbox_harness import LIMITS, JobLauncher, job, run  # noqa: E402


@pytest.fixture(scope="module")
def launcher():
    return JobLauncher()


# --- what is accepted ---


def test_only_listed_recipes_start(launcher):
    assert sorted(Launcher._recipes) == [
        "canary",
        "code",
        "embed",
        "embed.head",
        "embed.near",
        "feature",
        "federate",
        "ingest",
        "inspect",
        "join",
        "membership",
        "reidentify",
        "sql",
        "train",
        "train.lead",
        "train.shard",
    ]
    for recipe in ("os", "sandbox_jobs", "safehold.sandbox.check", "", "INGEST"):
        with pytest.raises(DeniedError) as caught:
            Launcher().start(Job(recipe=recipe, limits=LIMITS, least="E0"))
        assert caught.value.rule == "sandbox.recipe"
    assert all(module.startswith("safehold.") for module in RECIPES.values())


def test_a_level_that_does_not_exist_is_refused(launcher):
    for least in ("E9", "", "e3", "3"):
        with pytest.raises(InvalidError):
            launcher.start(job("empty", least=least))


@pytest.mark.parametrize("have", [level for level in LEVELS if level != "E4"])
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
    assert any(name.startswith("landlock-") for name in outcome.mechanisms) == (
        have in {"E1", "E3"}
    )


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
    paths = [
        "/etc/passwd",
        "/etc/shadow",
        "/etc/hostname",
        "/var",
        "/run",
        "/proc/self",
        str(tmp_path),
    ]
    (frame,), _ = run(
        launcher, "view", paths=[*paths, str(Path.home() / ".ssh"), str(HERE.parents[1] / ".git")]
    )
    seen = frame.header
    assert seen["there"] == []
    assert seen["host"] == "sandbox"
    assert seen["ids"] == [65534, 65534]
    assert seen["pid"]
    assert set(seen["environment"]) <= {
        "HOME",
        "TMPDIR",
        "LANG",
        "LC_ALL",
        "TZ",
        "JAX_PLATFORMS",
        "MALLOC_ARENA_MAX",
        "OPENBLAS_NUM_THREADS",
        "PWD",
        "LC_CTYPE",
    }
    assert not seen["etc"] or set(seen["etc"]) <= {"ld.so.cache"}
    assert seen["home"] is None or seen["home"] == []


@pytest.mark.parametrize(
    ("recipe", "told"), [("ingest", "1"), ("train", "1"), ("train.shard", "1"), ("code", None)]
)
def test_a_recipe_multiplies_in_one_thread_and_the_code_of_others_in_as_many_as_it_likes(
    launcher, recipe, told
):
    limits = replace(LIMITS, threads=Limits.of(recipe).threads)
    (frame,), _ = run(launcher, "threads", limits=limits)
    assert frame.header == {"type": "threads", "told": told, "late": False}


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
