"""Three silos over Flower: processes of their own, TLS, nodes that prove who they are."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request

import numpy as np
import pytest
from tests.federated import SHAPE, Federation
from tests.flowers import need_flower, nodes

from safehold.errors import UnavailableError
from safehold.federation.identity import make_node_key
from safehold.federation.line import flower
from safehold.federation.message import unpack
from safehold.federation.round import Coordinator
from safehold.federation.wire import flower_wire


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    need_flower()
    federation = Federation.found(tmp_path_factory.mktemp("houses"), steps=2)
    yield federation
    federation.close()


def refused(path, port, *, ca, key):
    config = {
        "be": "node", "server": f"127.0.0.1:{port}", "ca": str(path / ca), "key": str(key),
        "retries": 0, "patience": 1.0,
    }  # fmt: skip
    with pytest.raises(UnavailableError), flower(config):
        pass


def test_three_silos_train_over_tls_and_strangers_stay_outside(made, tmp_path):
    path = made.path
    keys = {name: house.node_key for name, house in made.houses.items()}
    silos = {name: house.silo(made.agreement).answer for name, house in made.houses.items()}
    with flower_wire(
        made.agreement,
        host="127.0.0.1",
        port=0,
        certificate=path / "server.pem",
        key=path / "server.key",
    ) as wire:
        came = []
        real = wire._line.read

        def read():
            got = real()
            came.append(got[1])
            return got

        wire._line.read = read
        # whoever is not named, and whoever trusts another authority, does not get in
        make_node_key(path / "stranger.node")
        refused(path, wire.port, ca="ca.pem", key=path / "stranger.node")
        refused(path, wire.port, ca="stranger.pem", key=keys["east"])
        # of Flower's interfaces nobody reaches any but that of nodes, and that only with a signature
        trusted = ssl.create_default_context(cafile=str(path / "ca.pem"))
        for place, status in (
            ("docs", 404), ("openapi.json", 404), ("v1/control/start-run", 404),
            ("v1/control/register-node", 404), ("v1/runtime/acquire-task", 404), ("health", 404),
        ):  # fmt: skip
            with pytest.raises(urllib.error.HTTPError) as error:
                urllib.request.urlopen(
                    f"https://localhost:{wire.port}/{place}", data=b"", context=trusted, timeout=30
                )
            assert error.value.code == status
        with nodes(path, wire.port, silos, keys):
            wire.await_online(set(silos), within_s=120)
            assert wire.online() == set(silos)
            coordinator = Coordinator(
                made.agreement, key=made.key, wire=wire, place=tmp_path / "state", step_s=240
            )
            answer = coordinator.run()
    assert answer["rounds"] == 2
    flat = np.frombuffer(answer["model"], "<f4").reshape(SHAPE.rows + 1, SHAPE.tokens)
    assert int(flat[2].argmax()) == 3
    assert set(answer["silos"]) == set(silos)
    # what came over the wire: six vectors, each as wide as uniform ones are
    masked = [body for body in map(vector, came) if body is not None]
    assert len(masked) == 6
    assert all(np.abs(one.view(np.int64)).max() > 2.0**62 for one in masked)


def vector(data):
    if len(data) < 8 * SHAPE.parameters:
        return None
    _, body = unpack(data)
    return np.frombuffer(body, "<u8").copy() if len(body) == 8 * SHAPE.parameters else None
