"""Three houses, each with its own home and keeper in this process; their steps run the real recipe."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from tests.keeper_desk import (
    PURPOSE,
    Bench,
    OpenGatekeeper,
    ScriptedJob,
    ScriptedWorkshop,
    found_bench,
    passed,
)
from tests.seated import founding

from safehold import canonical
from safehold.access.proof import Holder
from safehold.app.federate import vocabulary_of
from safehold.app.gate import EgressGatekeeper
from safehold.app.workshop import SandboxWorkshop
from safehold.canonical import b64, unb64
from safehold.charter import Charter
from safehold.enclave import federate
from safehold.enclave.action import SCHEMA
from safehold.enclave.model import Shape
from safehold.federation.identity import certificate_hash, make_node_key
from safehold.federation.silo import Silo
from safehold.keeper.agreement import VERSION, Agreement
from safehold.keeper.commission import noise_of
from safehold.keeper.messages import use_message
from safehold.keeper.ports import Frame
from safehold.sandbox.launch import Launcher
from safehold.signing import SigningKey

NAMES = ("east", "north", "west")
WORDS = vocabulary_of(synthetic=True)
SHAPE = Shape(tokens=len(WORDS.tokens), apps=len(WORDS.apps))
HABIT = (2, 3, 5, 7)  # what everybody does, over and over: something to learn
PEOPLE = 40  # of one house; with half of them held out, neither side has fewer than five (chance below 1e-6)
NUMBERS = {
    "epsilon_micro": 4_000_000,
    "delta_e12": 1_000_000,
    "steps": 3,
    "checks": 1,
    "sampling_ppm": 1_000_000,
    "held_out_ppm": 500_000,
    "clip_micro": 100_000,
    "rate_micro": 4_000_000,
    "actions_per_person": 32,
    "people": 60,
    "parameters": SHAPE.parameters,
    "honest": 2,
    "colluding": 0,
    "worse_ppm": 1_000_000,
}


class Workshop(ScriptedWorkshop):
    """Runs the recipe of a step in this process, on the memory that a sandbox would get."""

    @contextmanager
    def start(self, recipe: str, spec: Mapping[str, Any], inputs: Sequence[int], *, least: str):
        if not recipe.startswith("federate:"):
            with super().start(recipe, spec, inputs, least=least) as job:
                yield job
            return
        frames: list[Frame] = []

        def emit(header: Mapping[str, Any], body: Any = b"") -> None:
            frames.append(Frame(dict(header), memoryview(bytes(body))))

        federate.main(dict(spec), inputs, emit)
        yield ScriptedJob(iter(frames))


class SandboxedWorkshop(Workshop):
    """Runs the recipe of a step where it belongs."""

    def __init__(self) -> None:
        super().__init__()
        self.real = SandboxWorkshop(Launcher())
        self.levels: list[str] = []

    @contextmanager
    def start(self, recipe: str, spec: Mapping[str, Any], inputs: Sequence[int], *, least: str):
        if not recipe.startswith("federate:"):
            with super().start(recipe, spec, inputs, least=least) as job:
                yield job
            return
        with self.real.start(recipe, spec, inputs, least=least) as job:
            self.levels.append(job.level)
            yield job


class Gatekeeper(OpenGatekeeper):
    def open(self, recipe, spec, people):
        real = EgressGatekeeper()
        return (
            real.open(recipe, spec, people)
            if recipe.startswith("federate:")
            else super().open(recipe, spec, people)
        )

    def reads(self, recipe: str) -> frozenset[str]:
        return frozenset({"feature"}) if recipe.startswith("federate:") else super().reads(recipe)

    def settings(self, recipe: str, *, synthetic: bool) -> dict[str, Any]:
        return dict(WORDS.to_spec()) if recipe == "train" else {}


def small() -> Charter:
    """Return a charter that is content with few people."""
    text = canonical.encode(founding().to_json())
    return Charter.from_json(canonical.decode(text.replace(b'"min_people":50', b'"min_people":5')))


@dataclass
class House:
    """One silo: its keeper, its grant, and what it says to a coordinator."""

    name: str
    bench: Bench
    holders: dict[str, Holder]  # by the recipe, which names the agreement
    node_key: Path
    node: str

    @classmethod
    def found(cls, path: Path, name: str) -> House:
        bench = found_bench(
            path / name, people=[f"{name}{at}" for at in range(PEOPLE)], charter=small()
        )
        bench.workshop = Workshop()
        house = cls(name, bench, {}, path / f"{name}.node", "")
        house.open()
        bench.take(*(f"{name}{at}" for at in range(PEOPLE)))
        bench.call("feature", purpose=PURPOSE)
        house.node = make_node_key(house.node_key)
        return house

    def open(self) -> None:
        self.bench.start()
        self.bench.desk.gatekeeper = Gatekeeper()
        self.bench.workshop.scripts["feature"] = self._features

    def ask(self, verb: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        holder = self.holder(Agreement.from_json(arguments["agreement"]))
        nonce = unb64(self.bench.call("nonce")["nonce"])
        return self.bench.call(
            verb,
            **{name: value for name, value in arguments.items() if name != "purpose"},
            token=holder.token,
            nonce=b64(nonce),
            proof=b64(holder.prove(nonce, use_message(verb, PURPOSE))),
        )

    def holder(self, agreement: Agreement) -> Holder:
        """Return the holder of a grant for one agreement."""
        if agreement.recipe not in self.holders:
            self.holders[agreement.recipe] = self.bench.pass_(
                recipes=(agreement.recipe,),
                max_runs=400,
                max_per_hour=400,
                epsilon_micro=10**9,
                max_bytes=10**9,
            )
        return self.holders[agreement.recipe]

    def silo(self, agreement: Agreement) -> Silo:
        return Silo(self, agreement, self.name)

    def leaves(self, kind: str = "federation") -> list[dict[str, Any]]:
        return [leaf["pub"] for _, leaf in self.bench.desk.ledger.leaves(0) if leaf["k"] == kind]

    def _features(self, _spec: Mapping[str, Any]) -> Iterator[Frame]:
        for person in dict.fromkeys(header["person"] for header in self.bench.workshop.packed[-1]):
            table = pa.table(
                {
                    "token": pa.DictionaryArray.from_arrays(
                        pa.array(HABIT * 6, pa.int16()), pa.array(WORDS.tokens, pa.string())
                    ),
                    "app": pa.DictionaryArray.from_arrays(
                        pa.array([0] * 24, pa.int16()), pa.array(WORDS.apps, pa.string())
                    ),
                    "start": pa.array([True] + [False] * 23, pa.bool_()),
                },
                schema=SCHEMA,
            )
            yield passed("derived", person=person, table=table)


@dataclass
class Federation:
    """The houses, the coordinator's keys and certificates, and what they agreed on."""

    path: Path
    houses: dict[str, House]
    key: SigningKey
    agreement: Agreement

    @classmethod
    def found(cls, path: Path, **changes: int) -> Federation:
        houses = {name: House.found(path, name) for name in NAMES}
        key = SigningKey.generate()
        make_certificates(path)
        made = cls(path, houses, key, None)  # type: ignore[arg-type]
        made.agreement = made.agreed(**changes)
        return made

    def agreed(self, words: str = WORDS.digest(), **changes: int) -> Agreement:
        numbers = NUMBERS | changes
        numbers = noise_of(numbers) | numbers
        return Agreement.from_json(
            {
                "v": VERSION,
                "purpose": PURPOSE,
                "silos": {
                    name: {
                        "identity": house.bench.call("federate.identity")["identity"],
                        "node": house.node,
                    }
                    for name, house in self.houses.items()
                },
                "coordinator": self.key.public.text(),
                "certificate": certificate_hash(self.path / "server.pem"),
                "vocabulary": words,
                "numbers": numbers,
            }
        )

    def close(self) -> None:
        for house in self.houses.values():
            house.bench.stop()


class DirectWire:
    """Carries messages without a network, keeps a copy of all that came, and can lose what it is told to."""

    def __init__(self, silos: Mapping[str, Silo]) -> None:
        self.silos = dict(silos)
        self.lost: set[str] = set()
        self.sent: list[tuple[str, bytes]] = []
        self.came: list[tuple[str, bytes]] = []

    def online(self) -> set[str]:
        return set(self.silos) - self.lost

    def ask(self, messages: Mapping[str, bytes], *, within_s: float) -> dict[str, bytes]:
        answers = {}
        for name, data in messages.items():
            self.sent.append((name, data))
            if name in self.lost:
                continue
            answers[name] = self.silos[name].answer(data)
            self.came.append((name, answers[name]))
        return answers


def make_certificates(path: Path) -> None:
    """Make an authority, a server's certificate under it, and another authority."""

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=path, check=True, capture_output=True)

    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    for name in ("ca", "stranger"):
        openssl(
            "req",
            "-x509",
            *curve,
            "-keyout",
            f"{name}.key",
            "-out",
            f"{name}.pem",
            "-subj",
            f"/CN={name}",
            "-days",
            "2",
        )
    openssl("req", *curve, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost")
    (path / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1")
    openssl(
        "x509",
        "-req",
        "-in",
        "server.csr",
        "-CA",
        "ca.pem",
        "-CAkey",
        "ca.key",
        "-CAcreateserial",
        "-out",
        "server.pem",
        "-days",
        "2",
        "-extfile",
        "names",
    )
