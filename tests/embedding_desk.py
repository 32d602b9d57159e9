"""A keeper whose runs over text and vectors are the real recipes, in this process: only the sandbox is missing."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.keeper_desk import (
    PURPOSE,
    Bench,
    OpenGatekeeper,
    ScriptedJob,
    ScriptedWorkshop,
    batch,
    chunk,
    copy_bench,
    found_bench,
    rest_table,
)
from tests.seated import founding

from safehold import canonical
from safehold.access.proof import Holder
from safehold.app.draft import draft_grant
from safehold.app.embedding import RECIPES
from safehold.app.gate import EgressGatekeeper
from safehold.canonical import b64, unb64
from safehold.charter import Charter
from safehold.enclave.embedding import recipe as embedding_recipe
from safehold.enclave.embedding.exposure import expose
from safehold.ingest.rest import pack
from safehold.keeper.messages import use_message
from safehold.keeper.ports import Frame
from safehold.keeper.recipes import EMBED
from safehold.sandbox.job import RECIPES as MODULES
from safehold.signing import SigningKey
from safehold.workforce import words
from safehold.workforce.spec import Draw, generator

CROWD = tuple(
    f"w{number:03}" for number in range(104)
)  # half of them are attacked, and 50 are needed
PLANTED = 8  # canaries of each kind: a fourth of what the product plants, and as sure to be noticed
ASK = "prepare the weekly budget report for the client"
GATES = (
    ("reidentify-l3", "reidentify", "L3", "reidentify.top1", "<=", 300_000),
    ("membership", "membership", None, "membership.advantage", "<=", 800_000),
    ("canary", "canary", None, "canary.exposed", "==", 0),
    ("inversion", "invert", None, "invert.recovered", "==", 0),
)


def gated(*leave_out: str, epsilon: int | None = None, least: int = 50, **bounds: int) -> Charter:
    """Return the demo's charter with a stage for embedding, aggregates, and a gate on every attack."""
    tree = canonical.decode(canonical.encode(founding().to_json()))
    purpose = tree["purposes"][PURPOSE]
    purpose["stages"] = [*purpose["stages"], "embedding"]
    purpose["releases"] = [*purpose["releases"], "dp_aggregate"]
    if epsilon is not None:
        purpose["privacy"]["epsilon_micro"] = epsilon
    purpose["privacy"]["min_people"] = least
    role = tree["who_may"]["data_scientist"]
    role["stages"] = [*role["stages"], "embedding"]
    tree["gates"] = [
        {
            "id": name,
            "attack": attack,
            "level": level,
            "measure": measure,
            "must_be": {"op": op, "micro": bounds.get(attack, micro)},
        }
        for name, attack, level, measure, op, micro in GATES
        if attack not in leave_out
    ]
    return Charter.from_json(tree)


class InsideWorkshop(ScriptedWorkshop):
    """Runs the recipes about vectors in this process, and scripts of the test in place of the others."""

    def __init__(self) -> None:
        super().__init__()
        self.instead: dict[str, list[Frame]] = {}  # what a recipe sends that is not what it should

    @contextmanager
    def start(self, recipe: str, spec: Mapping[str, Any], inputs: Sequence[int], *, least: str):
        if recipe not in RECIPES:
            with super().start(recipe, spec, inputs, least=least) as job:
                yield job
            return
        self.specs.append((recipe, dict(spec)))
        yield ScriptedJob(iter(self.instead.get(recipe) or self._run(recipe, spec, inputs)))

    def _run(self, recipe: str, spec: Mapping[str, Any], inputs: Sequence[int]) -> list[Frame]:
        frames: list[Frame] = []

        def emit(header: dict[str, Any], body: bytes = b"") -> None:
            frames.append(Frame(header, memoryview(body)))

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(embedding_recipe, "expose", partial(expose, planted=PLANTED))
            importlib.import_module(MODULES[recipe]).main(dict(spec), inputs, emit)
        return frames


class Gatekeeper(OpenGatekeeper):
    """Judges runs over text and vectors as the product does, and lets the other scripts through."""

    def __getattribute__(self, name: str) -> Any:
        ours = {"open", "reads", "columns", "features", "settings"}
        if name not in ours:
            return super().__getattribute__(name)
        real, scripted = getattr(EgressGatekeeper(), name), super().__getattribute__(name)
        return lambda recipe, *rest, **more: (real if recipe in RECIPES else scripted)(
            recipe, *rest, **more
        )


def texts_of(number: int, *, chars: int = 900, seed: int = 7) -> tuple[list[str], list[str]]:
    """Return messages and requests of a made-up person."""
    draw = Draw(generator(seed, number, 0, 1))
    said: tuple[list[str], list[str]] = ([], [])
    for one, make in zip(
        said, (lambda: words.message(draw, length=60), lambda: words.question(draw)), strict=True
    ):
        while sum(map(len, one)) < chars:
            one.append(make())
    return said


def text_table(stream: str, texts: Sequence[str]) -> pa.Table:
    """Return rows of a stream of text in rest form."""
    table = rest_table(stream, len(texts))
    place = table.schema.get_field_index("text")
    table = table.set_column(place, table.schema.field("text"), pa.array(texts, pa.large_string()))
    if stream == "ai":
        field = table.schema.field("role")
        roles = pa.array(["user"] * len(texts)).dictionary_encode().cast(field.type)
        table = table.set_column(table.schema.get_field_index("role"), field, roles)
    return table


def text_batches(
    person: str, window: int, number: int, *, first: int = 0, **more: Any
) -> Iterator[Frame]:
    """Yield what a person wrote in a day, as it comes out of the ingestion sandbox."""
    for stream, texts in zip(("chat", "ai"), texts_of(number, **more), strict=True):
        table = text_table(stream, texts)
        frame = batch(person, window, stream=stream, first=first)
        frame.header["rows"] = len(table)
        session = frame.header["extents"][0][1]
        frame.header["extents"] = [["00" * 8, session, first, first + len(table) - 1]]
        yield Frame(frame.header, memoryview(pack(table)))


def take_texts(
    bench: Bench, people: Sequence[str] = CROWD, *, name: str = "texts", **more: Any
) -> None:
    """Take in what everybody wrote yesterday."""
    frames = [
        frame
        for number, person in enumerate(people)
        for frame in text_batches(person, bench.today - 1, number, **more)
    ]
    rows = sum(frame.header["rows"] for frame in frames)
    bench.ingest(*frames, chunk(rows=rows), name=name)


def found_texts(
    path: Path,
    *,
    people: Sequence[str] = CROWD,
    charter: Charter | None = None,
    synthetic: bool = False,
) -> Bench:
    """Make a home with text of a crowd, and nothing made of it."""
    bench = found_bench(path, people=("nobody",), charter=charter or gated(), synthetic=synthetic)
    begin(bench)
    bench.call(
        "people.enrol",
        people=[
            {"person": one, "jurisdiction": "US-CA", "streams": ["chat", "ai", "pointer"]}
            for one in people
        ],
        evidence="made up",
    )
    take_texts(bench, people)
    bench.stop()
    return bench


def begin(bench: Bench) -> Bench:
    """Start a keeper whose runs over vectors are real."""
    bench.workshop = InsideWorkshop()
    bench.start()
    bench.desk.gatekeeper = Gatekeeper()
    return bench


def copied(made: Bench, path: Path) -> Bench:
    """Return a copy of a home, started."""
    return begin(copy_bench(made, path))


def grant_for(bench: Bench, recipe: str, **changes: Any) -> Holder:
    """Have a grant for one recipe approved."""
    asked = draft_grant(
        bench.charter(), requester="ana", purpose=PURPOSE, reason="a test", minutes=60,
        holder=SigningKey.generate(), recipe=recipe,
    )  # fmt: skip
    fields = ("purpose", "segments", "streams", "columns", "stages", "recipes", "epsilon_micro")
    return bench.pass_(**{name: getattr(asked, name) for name in fields} | changes)


def ask(
    bench: Bench, verb: str, *files: int, holder: Holder | None = None, **asked: Any
) -> dict[str, Any]:
    """Use a grant for a verb about vectors."""
    holder = holder or grant_for(bench, verb)
    nonce = unb64(bench.call("nonce")["nonce"])
    return bench.call(
        verb, *files, purpose=PURPOSE, token=holder.token, nonce=b64(nonce),
        proof=b64(holder.prove(nonce, use_message(verb, PURPOSE))), **asked,
    )  # fmt: skip


def embed(bench: Bench, *files: int, **asked: Any) -> dict[str, Any]:
    """Make vectors of chat and requests."""
    return ask(bench, EMBED, *files, **({"streams": ["chat", "ai"]} | asked))


__all__ = [
    "ASK",
    "CROWD",
    "GATES",
    "ask",
    "begin",
    "copied",
    "embed",
    "found_texts",
    "gated",
    "grant_for",
    "take_texts",
]
