"""A real time-stamp authority: ``openssl ts -reply`` behind a web server of the test."""

from __future__ import annotations

import http.server
import subprocess
import threading
from pathlib import Path
from typing import Any

CONFIG = """
[tsa]
default_tsa = one
[one]
serial = serial
default_policy = 1.2.3.4.1
digests = sha256
signer_digest = sha256
accuracy = secs:1
ess_cert_id_alg = sha256
[ext]
extendedKeyUsage = critical,timeStamping
[ca]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
"""


def openssl(folder: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


def found_authority(folder: Path) -> None:
    """Make a certificate authority and the certificate of a time-stamp authority."""
    folder.mkdir()
    (folder / "config").write_text("[req]\ndistinguished_name=dn\n[dn]\n" + CONFIG)
    (folder / "serial").write_text("01\n")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-config", "config")
    openssl(folder, "req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "30",
            "-subj", "/CN=A root of the tests", "-extensions", "ca")  # fmt: skip
    openssl(folder, "req", *key, "-keyout", "tsa.key", "-out", "tsa.csr", "-subj", "/CN=A TSA")
    openssl(folder, "x509", "-req", "-in", "tsa.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-out", "tsa.pem", "-days", "30", "-extfile", "config", "-extensions", "ext")  # fmt: skip


class Authority:
    """``openssl ts -reply`` behind a web server."""

    def __init__(self, folder: Path) -> None:
        found_authority(folder)
        self.folder = folder
        self.asked: list[bytes] = []
        self.answer: bytes | None = None
        self.status = 200
        authority = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = self.rfile.read(int(self.headers["Content-Length"]))
                authority.asked.append(request)
                data = authority.reply(request)
                self.send_response(authority.status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_arguments: Any) -> None:
                pass

        self.server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/tsr"
        self.roots = (folder / "ca.pem").read_bytes()

    def reply(self, request: bytes) -> bytes:
        if self.answer is not None:
            return self.answer
        (self.folder / "query").write_bytes(request)
        openssl(self.folder, "ts", "-reply", "-config", "config", "-queryfile", "query",
                "-signer", "tsa.pem", "-inkey", "tsa.key", "-out", "reply")  # fmt: skip
        return (self.folder / "reply").read_bytes()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
