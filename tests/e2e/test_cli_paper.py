"""Signing elsewhere on the command line: a board that signs on paper, and a person whose sign-in speaks for them."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from tests.e2e.test_cli_choices import Line, bench
from tests.keeper_desk import Bench
from tests.passkey import SoftPasskey, der_of

from safehold import canonical
from safehold.access.identity.jose import b64url
from safehold.charter.turnover import next_roster

__all__ = ["bench"]


def _answer(file: Path, key: SoftPasskey, challenge: str, out: Path) -> Path:
    """Answer a paper's challenge as a browser does."""
    told = json.loads(file.read_text("utf-8"))
    assert told["challenge"] == challenge
    made = key.answer(base64.urlsafe_b64decode(challenge + "=="))
    out.write_bytes(
        canonical.encode(
            {
                "authenticatorData": b64url(made.data),
                "clientDataJSON": b64url(made.client),
                "signature": b64url(der_of(made)),
            }
        )
    )
    return out


def test_a_board_signs_on_paper(bench: Bench, tmp_path: Path) -> None:
    line, passkey = Line(bench.home.path), SoftPasskey()
    keys, now = {}, ("--fact", f"at_us:={bench.clock.now_us()}")  # it stands still
    for seat, key in bench.seats.items():
        keys[seat] = tmp_path / f"{seat}.key"
        key.write(keys[seat])
    roster = next_roster(bench.desk.trust.roster, seat="legal", key=passkey.public)
    paper = tmp_path / "rotation.json"
    shown = line.ask(
        "paper", "new", "rotation", paper,
        "--fact", f"roster:={canonical.encode(roster.to_json()).decode()}", "--fact", "seat=legal",
    )  # fmt: skip
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    line.ask("paper", "sign", paper, "--key", keys["legal"], "--out", old, home=False)
    answer = _answer(paper, passkey, shown["challenge"], tmp_path / "answer.json")
    passkey_text = passkey.public.text()
    add = ("paper", "add", paper, "--passkey", passkey_text, "--answer", answer, "--out", new)
    line.ask(*add, home=False)
    line.ask("paper", "hand-in", old, new)
    assert bench.desk.trust.roster.seat("legal").key == passkey.public

    stop, signed = tmp_path / "stop.json", tmp_path / "stop.signed"
    shown = line.ask(
        "paper", "new", "stop", stop, "--fact", "reason=a test", "--fact", "seat=legal", *now
    )
    answer = _answer(stop, passkey, shown["challenge"], tmp_path / "answer.json")
    wrong = ("paper", "add", paper, "--passkey", passkey_text, "--answer", answer, "--out", signed)
    assert line.refuse(*wrong, home=False) == "passkey.challenge"
    assert not signed.exists()
    add = ("paper", "add", stop, "--passkey", passkey_text, "--answer", answer, "--out", signed)
    line.ask(*add, home=False)
    line.ask("paper", "hand-in", signed)
    assert bench.desk.trust.stopped

    resume, handed = tmp_path / "resume.json", []
    shown = line.ask(
        "paper", "new", "resume", resume, "--fact", "reason=looked at", "--fact", "seat=legal", *now
    )
    for seat, key in keys.items():
        out = tmp_path / f"{seat}.signed"
        if seat == "legal":
            answer = _answer(resume, passkey, shown["challenge"], tmp_path / "answer.json")
            words = ("add", resume, "--passkey", passkey_text, "--answer", answer)
        else:
            words = ("sign", resume, "--seat", seat, "--key", key)
        line.ask("paper", *words, "--out", out, home=False)
        handed.append(out)
    line.ask("paper", "hand-in", *handed)
    assert not bench.desk.trust.stopped
    assert "vote" in line.ask("paper", "kinds", home=False)["kinds"]
    vote = ("paper", "new", "vote", tmp_path / "v", "--fact", "proposal:=1", "--fact", "seat=hr")
    assert line.refuse(*vote) == "proposal.open"
    assert (
        line.refuse("paper", "new", "stop", tmp_path / "v", "--fact", "seat") == "signature.facts"
    )


def test_a_sign_in_speaks_on_the_command_line(bench: Bench, tmp_path: Path) -> None:
    line = Line(bench.home.path)
    people = tmp_path / "people.csv"
    people.write_text("person,jurisdiction\nana,US-CA\n", "utf-8")
    line.ask("people", "enrol", "--file", people, "--evidence", "a list")
    line.ask("principal", "enrol", "ana.s", "--role", "employee", "--key", tmp_path / "in.key")
    code = line.ask("people", "invite", "ana")["code"]
    line.ask("sign-in", "--key", tmp_path / "in.key")
    kept = ("--receipts", tmp_path / "receipts")
    assert line.refuse("me", "show", "ana") == "subjects.link"
    assert line.refuse("me", "link", "ana", *kept) == "cli.options"
    assert line.ask("me", "link", "ana", "--code", code, *kept)["receipt"]
    assert line.ask("me", "pause", "ana", "--for", "1h", *kept)["receipt"]
    assert line.refuse("me", "consent", "ana", "key", *kept) == "subjects.signed"
    shown = line.ask("me", "show", "ana")
    assert shown["paused"]
    assert [one["choice"] for one in shown["entered_by_others"]] == ["invite"]
    line.ask("me", "trail", "ana", "--proof", tmp_path / "trail")
    line.ask("me", "unlink", "ana", *kept)
    key, code = tmp_path / "my.key", bench.call("people.invite", person="ana")["code"]
    line.ask("me", "join", "ana", "--code", code, "--key", key, *kept)
    line.ask("me", "link", "ana", "--key", key, *kept)
    line.ask("me", "disown", "ana", "--key", key, *kept)
    assert line.ask("me", "show", "ana")["linked"], "what the key signed for does not rest"
    receipt = tmp_path / "erased.receipt"
    line.ask("me", "erase", "ana", "--yes", "--receipt", receipt)
    assert receipt.exists()
    assert line.refuse("me", "show", "ana") == "subjects.link"
