"""Houses that compute together: a charter that lets them, certificates, keepers, and lines that can be listened to."""

from __future__ import annotations

import datetime as dt
import socket
import struct
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.keeper_desk import (
    Bench,
    OpenGatekeeper,
    ScriptedJob,
    ScriptedWorkshop,
    batch,
    chunk,
    found_bench,
    rest_table,
)
from tests.seated import founding

from safehold import canonical
from safehold.access.proof import Holder
from safehold.app.draft import draft_grant
from safehold.app.gate import EgressGatekeeper
from safehold.canonical import b64, unb64
from safehold.charter import Charter
from safehold.federation.group import POINT
from safehold.federation.line import Kind, Line
from safehold.federation.measure import main
from safehold.federation.psi_sum import Figures, join_set, join_values, size_of
from safehold.federation.terms import Terms
from safehold.ids import random_bytes
from safehold.ingest.rest import pack
from safehold.keeper.messages import use_message
from safehold.keeper.ports import Frame
from safehold.signing import SigningKey

FAIR = "check_fairness"
EPSILON = 20_000_000  # of a session in tests: noise of a few, so that it is over soon
SILENT_S = 30.0


def joining(*, epsilon_micro: int = 2 * EPSILON, least: int = 50, **changes: Any) -> Charter:
    """Return the demo's charter with metrics in the silo of HR, and a purpose that joins them with the pointer."""
    tree = canonical.decode(canonical.encode(founding().to_json()))
    pointer = next(one for one in tree["collect"] if one["what"] == "pointer")
    metric = canonical.decode(canonical.encode(pointer))
    metric["what"] = "performance_metrics"
    metric["minimise"] = {**pointer["minimise"], "silo": "hr"}
    tree["collect"].append(metric)
    fair = canonical.decode(canonical.encode(tree["purposes"]["train_ui_agent"]))
    fair |= {
        "plain": "One number over many people.",
        "stages": ["private_join"],
        "releases": ["dp_aggregate"],
    }
    fair["privacy"] |= {
        "epsilon_micro": epsilon_micro,
        "min_people": least,
        "delta_pico": 1_000_000,
    }
    fair["sources"] = ["performance_metrics", "pointer"]
    tree["purposes"][FAIR] = fair
    tree["who_may"]["data_scientist"]["stages"].append("private_join")
    for line in tree["red_lines"]:
        if line.get("min_people") is not None:
            line["min_people"] = least
    tree |= changes
    return Charter.from_json(tree)


@dataclass
class Authority:
    """Signs certificates of houses."""

    name: str = "authority"
    key: Any = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def __post_init__(self) -> None:
        self.pem = self._pem(self._signed(self.name, self.key, authority=True))

    def issue(self, name: str, *, trusts: str | None = None) -> dict[str, str]:
        """Return the credentials of a house."""
        key = ec.generate_private_key(ec.SECP256R1())
        return {
            "certificate": self._pem(self._signed(name, key)),
            "key": key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ).decode(),
            "authorities": trusts or self.pem,
        }

    def _signed(self, name: str, key: Any, *, authority: bool = False) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)])
        built = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=2))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
                critical=False,
            )
            .add_extension(
                x509.KeyUsage(
                    digital_signature=True, key_cert_sign=authority, crl_sign=authority,
                    content_commitment=False, key_encipherment=False, data_encipherment=False,
                    key_agreement=False, encipher_only=False, decipher_only=False,
                ),
                critical=True,
            )
        )  # fmt: skip
        if not authority:
            built = built.add_extension(
                x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False
            )
        return built.sign(self.key, hashes.SHA256())

    @staticmethod
    def _pem(certificate: x509.Certificate) -> str:
        return certificate.public_bytes(serialization.Encoding.PEM).decode()


def terms(role: str, members: int, **changes: Any) -> Terms:
    """Return the terms of one of two houses, ``set`` or ``values``, that go by their roles."""
    given: dict[str, Any] = {
        "protocol": "psi-sum",
        "purpose": FAIR,
        "party": role,
        "parties": ("set", "values"),
        "streams": ("pointer",) if role == "set" else ("metric",),
        "beside": ("metric",) if role == "set" else ("pointer",),
        "role": role,
        "clamp": 100,
        "epsilon_count_micro": 4_000_000,
        "epsilon_sum_micro": 4_000_000,
        "delta_e12": 1_000_000,
        "least": 1,
        "size": 1,
        "layout": "",
        "commitment": "ab" * 32,
        "nonce": random_bytes(32).hex(),
    } | changes
    if "size" not in changes:
        given["size"] = size_of(members, Terms(**given).reach)
    return Terms(**given)


class Tap:
    """Two sockets with somebody in between who writes down, and may change, what goes each way."""

    def __init__(self, change: Callable[[str, bytes], bytes] = lambda _way, data: data) -> None:
        self.one, near = socket.socketpair()
        self.two, far = socket.socketpair()
        self._inner = (near, far)
        self.heard: dict[str, bytearray] = {"to two": bytearray(), "to one": bytearray()}
        self._threads = [
            threading.Thread(target=self._carry, args=(*ends, way, change), daemon=True)
            for way, ends in (("to two", (near, far)), ("to one", (far, near)))
        ]
        for thread in self._threads:
            thread.start()

    def _carry(
        self,
        source: socket.socket,
        sink: socket.socket,
        way: str,
        change: Callable[[str, bytes], bytes],
    ) -> None:
        try:
            while data := source.recv(1 << 18):
                self.heard[way] += data
                sink.sendall(change(way, data))
        except OSError:
            pass
        finally:
            for end in (source, sink):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def close(self) -> None:
        """Wait until everything was carried, once the ends have hung up."""
        for thread in self._threads:
            thread.join()
        for end in self._inner:
            end.close()

    @property
    def transcript(self) -> bytes:
        return bytes(self.heard["to two"] + self.heard["to one"])


def ended(work: Callable[[], Any], line: Line) -> Any:
    """Return what some work returned, or the error that ended it; hang up afterwards."""
    try:
        return work()
    except Exception as error:
        line.refuse("failed")
        return error
    finally:
        line.close()


def meet(
    members: Sequence[bytes],
    values: Mapping[bytes, int],
    *,
    tap: Tap | None = None,
    idle_s: float = SILENT_S,
    **changes: Any,
) -> tuple[Any, Any]:
    """Let two honest houses carry out a session, and return what each of them has at the end."""
    if tap is None:
        one, two = socket.socketpair()
    else:
        one, two = tap.one, tap.two
    left, right = (Line(end, idle_s=idle_s, whole_s=300) for end in (one, two))
    with ThreadPoolExecutor(2) as pool:
        had: Future[Any] = pool.submit(
            ended, lambda: join_set(left, terms("set", len(members), **changes), members), left
        )
        other: Future[Any] = pool.submit(
            ended,
            lambda: join_values(right, terms("values", len(values), **changes), values),
            right,
        )
        both = had.result(), other.result()
    if tap is not None:
        tap.close()
    return both


def figures(found: tuple[Any, Any]) -> tuple[Figures, Figures]:
    """Return the figures of both houses; whatever else they have is raised."""
    for one in found:
        if isinstance(one, Exception):
            raise one
    return found[0], found[1]


class MeasuringWorkshop(ScriptedWorkshop):
    """Runs the recipe of joins as it is, in this process; everything else is a script."""

    @contextmanager
    def start(self, recipe: str, spec: Mapping[str, Any], inputs: Sequence[int], *, least: str):
        if recipe != "join":
            with super().start(recipe, spec, inputs, least=least) as job:
                yield job
            return
        frames: list[Frame] = []
        main(dict(spec), inputs, lambda header: frames.append(Frame(header, memoryview(b""))))
        yield ScriptedJob(iter(frames))


class MeasuringGatekeeper(OpenGatekeeper):
    """Judges joins as the product does, and lets the other scripts through."""

    def open(self, recipe, spec, people):
        return (EgressGatekeeper() if recipe == "join" else super()).open(recipe, spec, people)

    def reads(self, recipe):
        return EgressGatekeeper().reads(recipe) if recipe == "join" else super().reads(recipe)


def begin(bench: Bench) -> Bench:
    """Start the keeper of a house."""
    bench.workshop = MeasuringWorkshop()
    bench.start()
    bench.desk.gatekeeper = MeasuringGatekeeper()
    return bench


def found_house(path: Path, stream: str, values: Mapping[str, int], charter: Charter) -> Bench:
    """Make a house whose people have so many rows of a stream, or this value of a metric."""
    bench = begin(
        found_bench(
            path, people=tuple(values), charter=charter, streams=("pointer", "metric", "key")
        )
    )
    frames = []
    for person, value in values.items():
        table = rest_table(stream, 1 if stream == "metric" else value)
        if stream == "metric":
            place = table.schema.get_field_index("value")
            table = table.set_column(place, table.schema.field(place), pa.array([float(value)]))
        frame = batch(person, bench.today - 1, stream=stream, rows=len(table))
        frames.append(Frame(frame.header, memoryview(pack(table))))
    rows = sum(frame.header["rows"] for frame in frames)
    bench.ingest(*frames, chunk(rows=rows, taken={stream: rows}))
    bench.stop()
    return bench


def order(role: str, party: str, credentials: Mapping[str, str], **changes: Any) -> dict[str, Any]:
    """Return what a caller asks of a keeper."""
    mine, theirs = ("pointer", "metric") if role == "set" else ("metric", "pointer")
    return {
        "purpose": FAIR,
        "role": role,
        "stream": mine,
        "beside": [theirs],
        "measure": "rows" if role == "set" else "value",
        "metric": None if role == "set" else "x",
        "at_least": 0,
        "clamp": 100,
        "epsilon_micro": EPSILON,
        "party": party,
        "calls": {},
        "answers": [],
        "credentials": dict(credentials),
    } | changes


def grant_for(bench: Bench, **changes: Any) -> Holder:
    """Return a grant for joins."""
    asked = draft_grant(
        bench.charter(), requester="ana", purpose=FAIR, reason="a test", minutes=60,
        holder=SigningKey.generate(), recipe="join",
    )  # fmt: skip
    fields = ("purpose", "segments", "streams", "columns", "stages", "recipes")
    given = {name: getattr(asked, name) for name in fields}
    return bench.pass_(
        **(given | {"max_runs": 20, "max_per_hour": 20, "epsilon_micro": 10 * EPSILON} | changes)
    )


def ask(
    bench: Bench,
    verb: str,
    asked: Mapping[str, Any],
    *,
    holder: Holder | None = None,
    listener: socket.socket | None = None,
) -> dict[str, Any]:
    """Ask a keeper for its part of a session."""
    holder = holder or grant_for(bench)
    nonce = unb64(bench.call("nonce")["nonce"])
    return bench.call(
        verb,
        *(() if listener is None else (listener.fileno(),)),
        token=holder.token,
        nonce=b64(nonce),
        proof=b64(holder.prove(nonce, use_message(verb, asked["purpose"]))),
        **asked,
    )


# what two houses bring, where only the line between them is looked at
SET = [f"employee-{number:05}@example.org".encode() for number in range(40)]
VALUES = {f"employee-{number:05}@example.org".encode(): number for number in range(20, 60)}
HEAD = struct.Struct(">BI")
LOOSE: dict[str, Any] = {"epsilon_count_micro": 10_000_000, "epsilon_sum_micro": 10_000_000}


def frames(heard: bytes) -> list[tuple[int, bytes]]:
    found, at = [], 0
    while at + HEAD.size <= len(heard):
        kind, size = HEAD.unpack_from(heard, at)
        found.append((kind, bytes(heard[at + HEAD.size : at + HEAD.size + size])))
        at += HEAD.size + size
    return found


def bodies(heard: bytes, kind: Kind) -> bytes:
    return b"".join(body for one, body in frames(heard) if one == kind)


def points(data: bytes) -> list[bytes]:
    return [data[at : at + POINT] for at in range(0, len(data), POINT)]
