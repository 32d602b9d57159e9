"""Both recipes inside the real sandbox, with the gate on the outside."""

import os

import numpy as np
import orjson
import pyarrow as pa
import pytest

from safehold.enclave.action import Actions
from safehold.enclave.artifact import Model
from safehold.enclave.egress import Allowance, Gate, Metrics
from safehold.enclave.feature import write_actions
from safehold.enclave.vocabulary import Vocabulary
from safehold.errors import DeniedError
from safehold.sandbox.channel import pack_parts
from safehold.sandbox.job import Job, Limits
from safehold.sandbox.launch import Launcher

WORDS = Vocabulary.from_spec({"vocabulary": ["A", "B", "C"], "apps": ["x"]})


def parts(count):
    cycle = np.arange(30) % 3 + 1
    for at in range(count):
        actions = Actions(cycle, np.full(30, 2), np.arange(30) == 0)
        yield {"person": f"r{at}"}, pa.ipc.open_stream(write_actions(actions, WORDS)).read_all()


def run(count, **more):
    spec = {
        "epsilon_micro": 4_000_000, "delta_e12": 1_000_000, "min_people": 20, "synthetic": True,
        "rounds": 5, **WORDS.to_spec(), **more,
    }  # fmt: skip
    gate = Gate(
        Allowance(
            recipe="train", vocabulary=WORDS, people=frozenset(f"r{i}" for i in range(count)),
            epsilon_micro=4_000_000, delta_e12=1_000_000, min_people=20, synthetic=True,
        )
    )  # fmt: skip
    fd = pack_parts(parts(count))
    job = Job(
        recipe="train", spec=orjson.dumps(spec), inputs=[fd], limits=Limits.of("train"), least="E0"
    )
    running = Launcher().start(job)
    os.close(fd)
    try:
        messages = [gate.admit(frame.header, frame.body) for frame in running.frames()]
    finally:
        running.kill()
        outcome = running.wait()
    gate.close()
    return messages, outcome


def test_training_runs_confined_and_its_model_passes_the_gate():
    messages, outcome = run(60)
    assert outcome.started
    assert any(isinstance(one, Metrics) for one in messages)
    assert isinstance(messages[-1], Model)


def test_too_few_people_come_out_as_a_refusal():
    with pytest.raises(DeniedError) as caught:
        run(10)
    assert caught.value.rule == "charter.min_people"
