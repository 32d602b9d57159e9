"""A secure step against a plain one in the same deployment; several houses against one."""

from __future__ import annotations

import statistics
import time

import numpy as np
import pytest
from tests.federated import NAMES, DirectWire, Federation
from tests.flowers import need_flower, nodes

from safehold.enclave.gradient import sum_of_clipped
from safehold.enclave.model import Examples, Shape, make_examples, predict
from safehold.federation.identity import make_node_key
from safehold.federation.mask import Masker, add_up, context
from safehold.federation.wire import flower_wire
from safehold.keeper.agreement import Agreement
from safehold.privacy.account import calibrate
from safehold.privacy.distributed import put_on_grid, share_noise
from safehold.privacy.release import SLACK, draw_gaussian
from safehold.signing import SigningKey
from tests.federated import NUMBERS, make_certificates
from safehold.keeper.agreement import VERSION
from safehold.federation.identity import certificate_hash

pytestmark = pytest.mark.bench
SIZE = 100_000
STEPS = 7


@pytest.fixture
def bare(tmp_path):
    """An agreement of three silos without homes: what is measured is the way of the vectors."""
    make_certificates(tmp_path)
    identities = {name: SigningKey.generate() for name in NAMES}
    keys = {name: tmp_path / f"{name}.node" for name in NAMES}
    agreement = Agreement.from_json(
        {
            "v": VERSION,
            "purpose": "train_ui_agent",
            "silos": {
                name: {"identity": identities[name].public.text(), "node": make_node_key(keys[name])}
                for name in NAMES
            },
            "coordinator": SigningKey.generate().public.text(),
            "certificate": certificate_hash(tmp_path / "server.pem"),
            "vocabulary": "0" * 64,
            "numbers": NUMBERS | {"parameters": SIZE, "deviation": 1 << 24, "check_micro": 1},
        }
    )
    return tmp_path, agreement, identities, keys


def test_a_secure_step_takes_at_most_twice_a_plain_one(bare):
    need_flower()
    path, agreement, identities, keys = bare
    run = "0" * 32
    maskers = {
        name: Masker(
            agreement, name=name, run=run, identity=identities[name], seed=bytes([at]) * 32
        )
        for at, name in enumerate(NAMES)
    }
    hello = {name: one.hello() for name, one in maskers.items()}
    vector = np.arange(SIZE, dtype=np.int64).view(np.uint64)

    def answer(name):
        def say(data):
            if data[:1] == b"p":  # plain: single precision, as anybody would send it
                return vector.astype(np.float32).tobytes()
            ctx = context(agreement.digest(), run, int(data[1:9]), NAMES, "0" * 64)
            return maskers[name].mask(vector, members=hello, ctx=ctx).tobytes()

        return say

    model = bytes(4 * SIZE)
    plain, secure = [], []
    with flower_wire(
        agreement, host="127.0.0.1", port=0, certificate=path / "server.pem", key=path / "server.key"
    ) as wire, nodes(path, wire.port, {name: answer(name) for name in NAMES}, keys):
        wire.await_online(set(NAMES), within_s=120)
        for step in range(STEPS + 1):
            for kind, times in ((b"p", plain), (b"s", secure)):
                begun = time.perf_counter()
                got = wire.ask(
                    dict.fromkeys(NAMES, kind + f"{step:08}".encode() + model), within_s=120
                )
                assert len(got) == 3
                if kind == b"s":
                    total = add_up([np.frombuffer(one, "<u8") for one in got.values()])
                    assert np.array_equal(total, 3 * np.arange(SIZE))
                times.append(time.perf_counter() - begun)
    ratio = statistics.median(secure[1:]) / statistics.median(plain[1:])
    print(f"plain {statistics.median(plain[1:]):.2f} s, secure {statistics.median(secure[1:]):.2f} s, ratio {ratio:.2f}")
    assert ratio <= 2
