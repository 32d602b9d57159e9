"""Flower's environment for tests, and a deployment on loopback: each silo's node a process of its own, over TLS."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from safehold.errors import UnavailableError
from safehold.federation.pipe import find_flower, flower


def need_flower() -> None:
    """Skip aloud where Flower is not installed; in CI that is a failure."""
    try:
        find_flower()
    except UnavailableError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{error}: {error.fix}")
        pytest.skip(f"{error}: {error.fix}")


@contextmanager
def nodes(
    path: Path, port: int, silos: Mapping[str, Callable[[bytes], bytes]], keys: Mapping[str, Path]
) -> Iterator[None]:
    """Connect a node for each silo, which answers by the function given."""
    with contextlib.ExitStack() as stack:
        for name, answer in silos.items():
            config = {
                "be": "node",
                "server": f"127.0.0.1:{port}",
                "ca": str(path / "ca.pem"),
                "key": str(keys[name]),
                "patience": 60.0,
            }
            line, _ = stack.enter_context(flower(config))

            def serve(line=line, answer=answer):
                with contextlib.suppress(UnavailableError):
                    while True:
                        _, data = line.read()
                        line.write({}, answer(data))

            threading.Thread(target=serve, daemon=True).start()
        yield
