"""Vectors as people meet them: the how-to page, run as it stands, in real sandboxes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.command_line import CHARTERS, World, yesterday
from tests.embedding_desk import CROWD, texts_of

from safehold.telemetry.schema import WIRE

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "use-embeddings.md"
GATES = re.compile(r"^gates:\n.*?^```", re.MULTILINE | re.DOTALL)
DAY_US = 86_400_000_000


def write_texts(folder: Path) -> list[Path]:
    """Write what a crowd wrote yesterday, as its recorders hand it in."""
    rows: dict[str, list[dict[str, object]]] = {"chat": [], "ai": []}
    for number, person in enumerate(CROWD):
        seq = 0
        for stream, said in zip(rows, texts_of(number), strict=True):
            for text in said:
                seq += 1
                row = {
                    "person": person, "device": f"d-{person}", "session": f"s-{person}", "seq": seq,
                    "t": yesterday() * DAY_US + seq * 60_000_000, "mono": seq * 60_000_000, "app": stream,
                }  # fmt: skip
                own = (
                    {"channel": "general", "channel_kind": "channel", "msg": f"{person}-{seq}"}
                    if stream == "chat"
                    else {"conversation": person, "turn": seq, "role": "user"}
                )
                rows[stream].append(row | own | {"text": text})
    files = []
    for stream, held in rows.items():
        columns = [pa.array([row.get(f.name) for row in held]).cast(f.type) for f in WIRE[stream]]
        files.append(folder / f"{stream}.parquet")
        pq.write_table(pa.Table.from_arrays(columns, schema=WIRE[stream]), files[-1])
    return files


def charter_of(page: str) -> str:
    """Return the demo's charter with what the page asks for."""
    text = (CHARTERS / "demo.yaml").read_text("utf-8")
    found = GATES.search(page)
    assert found is not None
    for before, after in (
        ("stages: [ingest, feature, training]", "stages: [ingest, feature, embedding, training]"),
        ("stages: [feature, training], grant", "stages: [feature, embedding, training], grant"),
        ("releases: [model_weights_dp]", "releases: [model_weights_dp, dp_aggregate]"),
        ("\nassurance:", f"\n{found[0].removesuffix('```')}\nassurance:"),
    ):
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    return text


def commands(page: str) -> list[list[str]]:
    lines = page.replace("\\\n", " ").splitlines()
    return [shlex.split(line)[1:] for line in lines if line.strip().startswith("safehold ")]


@pytest.mark.proof  # each part of it is in the tests of its package
def test_the_page_about_embeddings_works_as_it_stands(tmp_path: Path) -> None:
    page = PAGE.read_text("utf-8")
    charter = tmp_path / "charter.yaml"
    charter.write_text(charter_of(page), "utf-8")
    world = World(tmp_path).init(charter)
    people = tmp_path / "people.csv"
    lines = [f"{person},US-CA,chat ai" for person in CROWD]
    people.write_text("\n".join(["person,jurisdiction,streams", *lines]) + "\n", "utf-8")
    files = write_texts(tmp_path)
    with world.kept():
        world.run("people", "enrol", "--file", people, "--evidence", "made up")
        world.run("run", *[word for file in files for word in ("--source", file)])
        ran = commands(page)
        assert len(ran) == 14
        for words in ran:
            done = world.run(*words, timeout=1_500)
        assert "inversion ==0: passed" in done.out
        (made,) = [
            one for one in world.ask("dataset", "list")["datasets"] if one["kind"] == "embedding"
        ]
        assert made["label"]["people"] == len(CROWD)
        told = world.ask("people", "erase", CROWD[0], "--evidence", "a letter")["effects"]
        assert {one["kind"]: one["status"] for one in told} == {
            "source": "shredded", "embedding": "shredded", "model": "bounded", "figures": "unsupported",
            "aggregate": "bounded",
        }  # fmt: skip
        assert world.ask("ledger", "verify")["verified"] is True
