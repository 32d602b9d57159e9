"""The places that sealed objects can lie in, for suites that run over each, and a hand in what rests there."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import pytest
from tests.keeper_desk import Bench
from tests.seaweed import Weed
from tests.world import outside

from safehold.app.objects import choose_bucket
from safehold.vault import Objects

STORES = ("folder", "bucket")


class Store(Protocol):
    """One place; what it holds can be read, changed and removed past the product."""

    def open(self, home: Path) -> Objects: ...

    def read(self, name: str) -> bytes: ...

    def write(self, name: str, data: bytes) -> None: ...

    def remove(self, name: str) -> None: ...


class Folder:
    def __init__(self, path: Path) -> None:
        self.path = path

    def open(self, home: Path) -> Objects:
        return Objects(home / "objects")

    def read(self, name: str) -> bytes:
        return (self.path / name).read_bytes()

    def write(self, name: str, data: bytes) -> None:
        (self.path / name).write_bytes(data)

    def remove(self, name: str) -> None:
        (self.path / name).unlink()


class FarBucket:
    def __init__(self, weed: Weed, *, keeping: bool = False, home: str = "home_test") -> None:
        self.weed = weed
        self.bucket = weed.bucket(keeping=keeping)
        self.prefix = weed.prefix()
        self._home = home

    def open(self, home: Path) -> Objects:
        return self.weed.objects(self.bucket, self.prefix, home=self._home)

    def read(self, name: str) -> bytes:
        return self._call("GET", name)

    def write(self, name: str, data: bytes) -> None:
        self._call("PUT", name, data)

    def remove(self, name: str) -> None:
        self._call("DELETE", name)

    def everything(self) -> list[bytes]:
        """Return every version of every object, whatever was deleted."""
        return list(self.weed.versions(self.bucket, self.prefix).values())

    def _call(self, method: str, name: str, body: bytes = b"") -> bytes:
        status, data = self.weed.call(
            method, f"/{self.bucket}/{self.prefix}/{self._home}/{name}", body=body
        )
        assert status in {200, 204}, (method, status)
        return data


def move_objects(bench: Bench, request: pytest.FixtureRequest) -> Bench:
    """Let the objects of a home that has none yet lie in a bucket, if a test asks for it by its parameter."""
    if getattr(request, "param", "folder") == "bucket":
        weed = request.getfixturevalue("weed")
        with outside(bench.path):
            choose_bucket(bench.home, weed.url(weed.bucket(), weed.prefix()))
    return bench


def store_of(request: pytest.FixtureRequest, path: Path) -> Store:
    """Return the store that a suite runs over now.

    Args:
        request: Of a fixture with ``params=STORES``.
        path: Folder of the objects, where they lie in one.
    """
    if getattr(request, "param", "folder") == "bucket":
        return FarBucket(request.getfixturevalue("weed"))
    return Folder(path)
