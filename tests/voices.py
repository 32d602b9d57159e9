"""People who speak for themselves: each has a key, and signs what they choose."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.keeper_desk import Bench, found_bench
from tests.seated import founding

from safehold import canonical
from safehold.canonical import unb64
from safehold.charter import Charter, Signature
from safehold.keeper.messages import ANSWER_DOMAIN, READ_DOMAIN, ask, state
from safehold.signing import SigningKey
from safehold_verify.choice import Choice, verify_choice

STREAMS = ["key", "pointer"]


def strict(**changes: Any) -> Charter:
    """Return the tests' charter as one for real people: nobody opts in for somebody else."""
    tree = canonical.decode(canonical.encode(founding().to_json()))
    del tree["participation"]["opt_in_by"]
    for name, value in changes.items():
        tree[name] = value(tree[name]) if callable(value) else value
    return Charter.from_json(tree)


@dataclass
class Voice:
    """One person and their key."""

    bench: Bench
    name: str
    key: SigningKey = field(default_factory=SigningKey.generate)
    receipts: list[bytes] = field(default_factory=list)

    def statement(self, choice: str, **fields: Any) -> dict[str, str]:
        return state(
            self.key,
            choice,
            home=self.bench.home.id,
            person=self.name,
            charter=self.bench.desk.trust.digest().hex(),
            nonce=unb64(self.bench.call("nonce")["nonce"]),
            **fields,
        )

    def choose(self, choice: str, **fields: Any) -> dict[str, Any]:
        answer = self.bench.call("people.choose", **self.statement(choice, **fields))
        if answer.get("receipt"):
            self.receipts.append(answer["receipt"].encode())
        return answer

    def ask(self, verb: str, **more: Any) -> dict[str, Any]:
        nonce = unb64(self.bench.call("nonce")["nonce"])
        shown = ask(self.key, home=self.bench.home.id, person=self.name, verb=verb, nonce=nonce)
        return self.bench.call(verb, **shown, **more)

    def checked(self) -> list[Choice]:
        """Return the receipts of everything that was chosen or entered, each verified offline."""
        found = self.ask("people.receipts")["receipts"]
        return [
            verify_choice(one["receipt"].encode(), self.bench.home.policy_file) for one in found
        ]


def enrol(bench: Bench, *names: str, place: str = "US-CA", **more: Any) -> dict[str, Voice]:
    """Enrol people with keys of their own; they have not chosen anything yet."""
    voices = {name: Voice(bench, name) for name in names}
    people = [
        {"person": name, "jurisdiction": place, "key": one.key.public.text(), **more}
        for name, one in voices.items()
    ]
    bench.call("people.enrol", people=people, evidence="a list of the works council")
    return voices


def found_voices(path: Path, charter: Charter | None = None) -> Bench:
    """Make a home of real people in which nobody is enrolled yet."""
    return found_bench(path, people=(), charter=charter or strict())


def read_case(bench: Bench, case: str, *seats: str) -> dict[str, Any]:
    nonce = bench.call("nonce")["nonce"]
    text = canonical.encode([bench.home.id, case, nonce])
    return bench.call(
        "rights.read", case=case, nonce=nonce, signatures=_signed(bench, READ_DOMAIN, text, seats)
    )


def answer_case(bench: Bench, case: str, outcome: str, *seats: str) -> dict[str, Any]:
    text = canonical.encode(
        {
            "v": "safehold.answer/1",
            "home": bench.home.id,
            "case": case,
            "outcome": outcome,
            "text": "because",
        }
    )
    return bench.call(
        "rights.answer",
        answer=text.decode(),
        signatures=_signed(bench, ANSWER_DOMAIN, text, seats),
    )


def _signed(bench: Bench, domain: str, text: bytes, seats: tuple[str, ...]) -> list[Any]:
    return [
        Signature(seat=seat, value=bench.seats[seat].sign(domain, text)).to_json() for seat in seats
    ]


def spoil(receipt: bytes, field: str, value: object) -> bytes:
    """Return a receipt with another value, spelled as receipts are."""
    said = canonical.decode(receipt)
    said[field] = value
    return canonical.encode(said)


__all__ = [
    "STREAMS", "Voice", "answer_case", "enrol", "found_voices", "read_case",
    "spoil", "strict",
]  # fmt: skip
