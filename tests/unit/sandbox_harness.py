"""How the sandbox tests start a job of theirs and see it end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar

import pytest

from safehold.errors import (
    SafeholdError,
)
from safehold.sandbox import channel
from safehold.sandbox.job import Job, Limits, Outcome
from safehold.sandbox.launch import Launcher

HERE = Path(__file__).resolve().parent
LIMITS = Limits(wall=240.0, cpu=60)  # on a busy machine even a start can take long
AT_ONCE = 120.0  # seconds: under what the limits or the job would take by themselves


class JobLauncher(Launcher):
    _recipes: ClassVar = {"job": "sandbox_jobs", "absent": "no_such_module"}
    _extra = (HERE,)


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
        try:
            for frame in running.frames():
                seen.append(frame.header["type"])
        except SafeholdError as error:
            return error, running.wait(), seen
    pytest.fail("the job did not fail")
