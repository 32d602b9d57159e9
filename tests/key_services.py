"""Places where a root key can live: a SoftHSM token, AWS KMS by moto, a transit engine over loopback.

The transit engine is a contract: it does what the documented API of Vault and OpenBao does for the calls that we
make, and notes every request that is not one of these. It proves our side only.
"""

from __future__ import annotations

import atexit
import json
import os
import secrets
import shutil
import subprocess
import threading
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from hmac import digest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, ClassVar

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MODULES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
)
PIN = "48151623"
TOKEN = "hvs.keeper-token-canary-7f3a"
AWS_ID, AWS_SECRET = "AKIAKEEPERCANARY0001", "aws-secret-canary-9d1c55e0"
ACCOUNT = "123456789012"


@dataclass
class SoftHsm:
    """A token of SoftHSM in a folder of its own.

    Args:
        module: The PKCS#11 library.
        token: Label of the token.
        folder: Where it keeps its objects.
    """

    module: str
    token: str
    folder: Path
    made: int = 0

    def where(self) -> dict[str, str]:
        self.made += 1
        return {"module": self.module, "token": self.token, "object": f"root-{self.made}"}

    def uri(self, name: str) -> str:
        return f"pkcs11:token={self.token};object={name}?module-path={self.module}"


@cache
def find_softhsm() -> SoftHsm:
    """Make a token; without SoftHSM the test skips aloud, and fails under CI=true.

    The library reads its configuration once a process, so all tests of a process share one token.
    """
    module = next((one for one in MODULES if Path(one).exists()), None)
    program = shutil.which("softhsm2-util")
    if module is None or program is None:
        missing("SoftHSM is not installed: apt-get install softhsm2")
    assert module
    assert program
    folder = Path(mkdtemp(prefix="safehold-softhsm-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    tokens = folder / "tokens"
    tokens.mkdir()
    conf = folder / "softhsm2.conf"
    conf.write_text(
        f"directories.tokendir = {tokens}\nobjectstore.backend = file\nlog.level = ERROR\n"
    )
    os.environ["SOFTHSM2_CONF"] = str(conf)
    label = f"safehold-{secrets.token_hex(4)}"
    subprocess.run(
        [program, "--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", "0" * 8],
        check=True,
        capture_output=True,
    )
    return SoftHsm(module, label, tokens)


def missing(why: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)


@dataclass
class Aws:
    """AWS KMS by moto, in this process. It checks no signatures and opens with disabled keys."""

    endpoint: str
    server: Any

    def key(self) -> str:
        import boto3

        client = boto3.client(
            "kms",
            region_name="eu-central-1",
            endpoint_url=self.endpoint,
            aws_access_key_id=AWS_ID,
            aws_secret_access_key=AWS_SECRET,
        )
        made = str(client.create_key(KeyUsage="ENCRYPT_DECRYPT")["KeyMetadata"]["Arn"])
        client.close()
        return made

    def where(self) -> dict[str, str]:
        return {"key": self.key(), "region": "eu-central-1", "endpoint": self.endpoint}

    @property
    def credentials(self) -> str:
        return json.dumps({"access_key_id": AWS_ID, "secret_access_key": AWS_SECRET})


def start_aws() -> Aws:
    """Start moto's server on loopback."""
    moto = pytest.importorskip("moto.server")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    return Aws(f"http://{host}:{port}", server)


@dataclass
class TransitKey:
    """Versions of one key, from 1."""

    derived: bool = True
    exportable: bool = False
    kind: str = "aes256-gcm96"
    versions: list[bytes] = field(default_factory=lambda: [secrets.token_bytes(32)])
    least: int = 1


class Transit:
    """A transit engine on loopback.

    ``sealed`` and ``mute`` make it unavailable; ``wrong`` collects requests that the API does not have; ``calls``
    counts those that it has.
    """

    def __init__(self) -> None:
        self.keys: dict[str, TransitKey] = {}
        self.tokens = {TOKEN}
        self.sealed = False
        self.mute = False
        self.answer: tuple[int, bytes] | None = None
        self.wrong: list[str] = []
        self.calls: list[str] = []
        handler = type("Handler", (_Handler,), {"engine": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def where(self, name: str) -> dict[str, str]:
        return {"url": self.url, "mount": "transit", "key": name, "ca": ""}

    def uri(self, name: str) -> str:
        return f"hcvault://{self.url.removeprefix('http://')}/transit/keys/{name}?plain=yes"

    def rotate(self, name: str) -> None:
        self.keys[name].versions.append(secrets.token_bytes(32))

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def encrypt(self, key: TransitKey, plaintext: bytes, context: bytes) -> str:
        nonce, number = secrets.token_bytes(12), len(key.versions)
        sealed = AESGCM(_derived(key.versions[-1], context)).encrypt(nonce, plaintext, b"")
        return f"vault:v{number}:{b64encode(nonce + sealed).decode()}"

    def decrypt(self, key: TransitKey, text: str, context: bytes) -> str:
        vault, version, body = text.split(":")
        number = int(version.removeprefix("v"))
        if vault != "vault" or not 1 <= number <= len(key.versions):
            raise ValueError("invalid ciphertext: unable to decrypt")
        if number < key.least:
            raise ValueError("ciphertext or signature version is disallowed by policy (too old)")
        data = b64decode(body, validate=True)
        try:
            opened = AESGCM(_derived(key.versions[number - 1], context)).decrypt(
                data[:12], data[12:], b""
            )
        except InvalidTag:
            raise ValueError("cipher: message authentication failed") from None
        return b64encode(opened).decode()


def _derived(key: bytes, context: bytes) -> bytes:
    return digest(key, sha256(context).digest(), "sha256")


class _Handler(BaseHTTPRequestHandler):
    engine: ClassVar[Transit]
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._serve({})

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        self._serve(json.loads(self.rfile.read(length)))

    do_PUT = do_POST  # noqa: N815 - as http.server has it

    def _serve(self, body: dict[str, Any]) -> None:
        engine = self.engine
        if engine.mute:
            self.close_connection = True
            return
        if engine.answer is not None:
            self._send(*engine.answer)
        elif engine.sealed:
            self._say(503, {"errors": ["Vault is sealed"]})
        elif self.headers.get("X-Vault-Token") not in engine.tokens:
            self._say(403, {"errors": ["permission denied"]})
        elif self.headers.get("X-Vault-Request") != "true":
            self._strange("no X-Vault-Request")
        else:
            self._route(self.path.split("/")[1:], body)

    def _route(self, path: list[str], body: dict[str, Any]) -> None:
        engine = self.engine
        match (self.command, *path):
            case ("POST" | "PUT", "v1", "transit", "keys", name):
                allowed = {"type", "derived", "exportable", "convergent_encryption"}
                allowed |= {"allow_plaintext_backup", "auto_rotate_period"}
                if set(body) - allowed:
                    self._strange("fields of create")
                    return
                engine.keys.setdefault(name, TransitKey(bool(body.get("derived"))))
                self._say(200, {"data": {}})
            case ("GET", "v1", "transit", "keys", name) if name in engine.keys:
                key = engine.keys[name]
                about = {
                    "type": key.kind,
                    "derived": key.derived,
                    "exportable": key.exportable,
                    "allow_plaintext_backup": False,
                    "latest_version": len(key.versions),
                    "min_decryption_version": key.least,
                    "name": name,
                }
                self._say(200, {"data": about})
            case ("GET", "v1", "transit", "keys", _):
                self._say(404, {"errors": []})
            case ("POST" | "PUT", "v1", "transit", "encrypt" | "decrypt" as verb, name):
                self._batch(verb, name, body)
            case _:
                self._strange("no such path")

    def _batch(self, verb: str, name: str, body: dict[str, Any]) -> None:
        engine = self.engine
        given = "plaintext" if verb == "encrypt" else "ciphertext"
        items = body.get("batch_input")
        if set(body) - {given, "batch_input"} or body.get(given) is not None or not items:
            self._strange(f"fields of {verb}")
            return
        if name not in engine.keys:
            self._say(400, {"errors": ["encryption key not found"]})
            return
        engine.calls.append(verb)
        key, results, failed = engine.keys[name], [], False
        for item in items:
            if set(item) != {given, "context"} or not item["context"]:
                self._strange(f"fields of an item of {verb}")
                return
            context = b64decode(item["context"], validate=True)
            try:
                if verb == "encrypt":
                    plaintext = b64decode(item["plaintext"], validate=True)
                    results.append({"ciphertext": engine.encrypt(key, plaintext, context)})
                else:
                    results.append({"plaintext": engine.decrypt(key, item["ciphertext"], context)})
            except ValueError as error:
                failed = True
                results.append({"error": str(error)})
        self._say(400 if failed else 200, {"data": {"batch_results": results}})

    def _strange(self, why: str) -> None:
        self.engine.wrong.append(f"{self.command} {self.path}: {why}")
        self._say(400, {"errors": ["unsupported"]})

    def _say(self, status: int, body: dict[str, Any]) -> None:
        self._send(status, json.dumps(body).encode())

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
