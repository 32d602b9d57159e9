"""The blast radius as a responder meets it: asked, drawn, and the list that two seats sign for."""

from __future__ import annotations

from pathlib import Path

from tests.command_line import CHARTERS, World, company, write_people, write_sources

from safehold.signing import SigningKey

PEOPLE = 6


def test_how_far_it_reaches_and_who_they_are(tmp_path: Path) -> None:
    world = World(tmp_path).init(CHARTERS / "demo.yaml")
    spec = company(PEOPLE, pace=200)
    files = write_sources(spec, tmp_path / "sources")
    people = write_people(spec, tmp_path / "people.csv")
    with world.kept():
        world.run("people", "enrol", "--file", people, "--evidence", "made up")
        world.ask("run", "--source", files["pointer"], "--seats", world.seats)
        picture = tmp_path / "blast.svg"
        answer = world.ask("incident", "blast", "--key", "us-ca.pointer", "--svg", picture)
        assert answer["could"]["people"] is None  # fewer than anybody here is told of
        assert answer["could"]["fewer_than"] > PEOPLE
        assert answer["could"]["classes"] == ["pointer"]
        assert [one["what"] for one in answer["was"]["runs"]["shown"]] == ["feature"]
        assert picture.read_text("utf-8").startswith("<svg ")
        assert picture.stat().st_mode & 0o077 == 0
        tree = world.run("incident", "blast", "--segment", "us-ca.pointer").out
        assert "Could have been opened" in tree
        assert world.refuse("incident", "blast", code=2)["rule"] == "blast.target"
        bad = world.refuse("incident", "blast", "--segment", "us-ca.key", "--from", "noon", code=2)
        assert bad["rule"] == "cli.moment"

        opener, paper, out = (tmp_path / name for name in ("opener.key", "paper", "sealed"))
        SigningKey.generate().write(opener)
        world.run(
            "incident", "reached", "--key", "us-ca.pointer", "--reason", "notices", "--open-with", opener,
            "--paper", paper,
        )  # fmt: skip
        refused = world.refuse("incident", "reached", "--paper", paper, "--out", out, code=3)
        assert refused["rule"] == "blast.seats"
        for seat in ("privacy", "legal"):
            key = next(world.seats.glob(f"{seat}*"))
            world.run("incident", "reached", "--paper", paper, "--seat", seat, "--seat-key", key)
        world.run("incident", "reached", "--paper", paper, "--out", out)
        found = world.ask("incident", "reached", "--out", out, "--open-with", opener)
        assert 1 <= len(found["was"]) <= len(found["could"]) <= PEOPLE
