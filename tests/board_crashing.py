"""A board at work that dies at one step of its work, and another keeper that goes on from there.

The script proposes, signs, refuses, stops, resumes, changes the roster and enacts. Every step is said the same way
each time, so a second keeper can run the whole script again: what was done stays done once, what was not is done now.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from tests.crashing import Acks, Job, Steps, Yard, main
from tests.keeper_desk import Bench, copy_bench, found_bench
from tests.seated import DAY_S, founding, say, signed_roster, stated, stated_roster, wider
from tests.world import PASSPHRASE, outside

from safehold.charter import Rosters
from safehold.charter.turnover import next_roster
from safehold.clock import DAY_US, SECOND_US, FixedClock
from safehold.errors import SafeholdError
from safehold.ledger import publisher
from safehold.settings import Home
from safehold.signing import SigningKey
from safehold.vault.kms import open_sealed

FIVE = ("privacy", "employee_representative", "legal", "ml_lead", "security")
FRESH = SigningKey(b"r" * 32)  # the key that hr rotates to
NEWCOMER = SigningKey(b"n" * 32)
KINDS = frozenset({"charter", "roster", "proposal", "stop", "resume"})


def found_boardroom(path: Path) -> Bench:
    """Make a home with a board and a charter, without anybody in it."""
    return found_bench(path, charter=founding(notice_s=14 * DAY_S), people=("ana",))


@dataclass(slots=True)
class Room:
    """One keeper at work on the script.

    Args:
        bench: The keeper.
        started_us: When the script began.
        tell: Is told of each act and the index of its leaf.
    """

    bench: Bench
    started_us: int
    tell: Callable[[str, int], None]

    def at(self, *, days: int = 0, seconds: int = 0) -> None:
        """Move the clock to a moment of the script; it never goes back."""
        when = self.started_us + days * DAY_US + seconds * SECOND_US
        self.bench.clock.at_us = max(self.bench.clock.at_us, when)

    def act(self, name: str, run: Callable[[], dict[str, Any]], *done: str) -> dict[str, Any]:
        """Do something that may have been done before; then it is refused by one of these rules."""
        try:
            answer = run()
        except SafeholdError as error:
            if error.rule not in done:
                raise
            return {}
        self.tell(name, answer.get("entry", answer.get("proposal", -1)))
        return answer

    def play(self) -> None:
        """Go through the whole script."""
        call, keys = self.bench.call, self.bench.seats
        trust = self.bench.desk.trust
        first = trust.board.rosters.digests()[0]
        charter = founding(notice_s=14 * DAY_S)
        over = ("proposal.ended", "proposal.open", "proposal.base")

        def proposed(days: int, seat: str) -> dict[str, Any]:
            said = stated(
                wider(charter, days=days),
                home=self.bench.home.id,
                base=charter.digest(),
                roster=next(iter(trust.board.rosters)),
                seat=seat,
                key=keys[seat],
                at_us=self.started_us,
            )
            return call("charter.propose", **said)

        widening = self.act("propose", lambda: proposed(31, "legal"), *over)
        for seat in FIVE if widening else ():
            self.act(
                f"sign {seat}", lambda seat=seat: say(call, widening["question"], seat, keys[seat])
            )
        other = self.act("propose another", lambda: proposed(90, "hr"), *over)
        if other:
            self.act(
                "refuse", lambda: say(call, other["question"], "privacy", keys["privacy"], "refuse")
            )
        for number, what in enumerate(("stop", "resume")):
            self.at(seconds=number + 1)
            order = self.order(what, number + 1)
            self.act(what, lambda what=what, order=order: call(what, **order), "oversight.order")
        # proposed before a key is rotated, and enacted after it
        founded = next(iter(trust.board.rosters))
        replaced = next_roster(founded, seat="security", person="eve", key=NEWCOMER.public)
        said = stated_roster(
            replaced, old=founded, seat="legal", key=keys["legal"], at_us=self.started_us
        )
        change = self.act("propose a roster", lambda: call("board.propose", **said), *over)
        if trust.roster.digest() == first:
            rotated = next_roster(trust.roster, seat="hr", key=FRESH.public)
            rotated = signed_roster(rotated, {"hr": keys["hr"]}, ("hr", FRESH))
            self.act("rotate", lambda: call("board.rotate", roster=rotated.to_json()))
        signers = [(seat, keys[seat]) for seat in FIVE if seat != "security"]
        for seat, key in (*signers, ("security", NEWCOMER)) if change else ():
            self.act(
                f"agree {seat}",
                lambda seat=seat, key=key: say(call, change["question"], seat, key),
            )
        self.at(days=20)
        for one in trust.deliberation.open():
            verb = "charter.enact" if one["about"] == "charter" else "board.enact"
            self.act(
                "enact" if one["about"] == "charter" else "replace",
                lambda one=one, verb=verb: call(verb, proposal=one["proposal"]),
            )

    def order(self, what: str, second: int) -> dict[str, Any]:
        """Return the same order each time."""
        now = self.bench.clock.at_us
        self.bench.clock.at_us = self.started_us + second * SECOND_US
        order = self.bench.order(
            what, *(("legal",) if what == "stop" else FIVE), *(() if what == "stop" else ("hr",))
        )
        self.bench.clock.at_us = now
        return order


def outcome(bench: Bench) -> dict[str, Any]:
    """Return what a keeper holds in the end: what is in force, and every step of the board once."""
    trust = bench.desk.trust
    steps = [
        (leaf["k"], *sorted(map(str, leaf.get("pub", {}).items())))
        for _, leaf in bench.desk.ledger.leaves()
        if leaf["k"] in KINDS
    ]
    return {
        "charter": trust.charter().version,
        "roster": [one.hex() for one in trust.board.rosters.digests()],
        "stopped": trust.stopped,
        "open": trust.deliberation.open(),
        "steps": Counter(steps),
    }


def check_acknowledged(bench: Bench, acks: Acks) -> None:
    """Check that whatever somebody was told of is in the ledger."""
    for name, index in acks.events:
        ((_, leaf),) = bench.desk.ledger.leaves(index, index + 1)
        assert leaf["k"] in KINDS, f"{name} was acknowledged as entry {index} and is not there"


def survive(yard: Yard, base: Bench, room: Path, *, die_at: int) -> Acks:
    """Let a keeper die at one step; let the next go on; compare with a board that nobody killed."""
    path = room / f"at-{die_at}"
    copy_bench(base, _fresh(path))
    job = Job(path=path, acks=room / f"acks-{die_at}", die_at=die_at)
    status, acks = yard.run(job)
    assert not acks.error, acks.error
    assert not acks.foreign, acks.foreign
    if not die_at:
        assert status == 0
    return acks


def continued(base: Bench, path: Path, acks: Acks) -> dict[str, Any]:
    """Open what is left, check it, run the script again, and return the outcome."""
    with outside(path):
        home = Home.open(path / "home")
    bench = Bench(path, home, base.root, FixedClock(base.clock.at_us), dict(base.seats)).start()
    try:
        check_acknowledged(bench, acks)
        Room(bench, base.clock.at_us, lambda _name, _index: None).play()
        found = outcome(bench)
    finally:
        bench.stop()
    assert len(Rosters.open(orjson.loads(home.roster_file.read_bytes()))) == 3
    return found


def work(job: Job) -> None:
    """Play the script in a worker, and die at its step."""
    out = os.open(job.acks, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def say_so(**what: Any) -> None:
        os.write(out, orjson.dumps(what) + b"\n")

    steps = Steps(die_at=job.die_at, fail_at=0)
    publisher.INTERVAL = (
        3_600  # nothing is published by itself, or the steps would depend on the machine
    )
    steps.wrap_sqlite()
    for name in ("fsync", "replace", "unlink", "pwrite"):
        steps.wrap(os, name)
    with outside(job.path):
        home = Home.open(job.path / "home")
    bench = Bench(job.path, home, _BASE.root, FixedClock(_BASE.clock.at_us), dict(_BASE.seats))
    try:
        bench.start()
        Room(
            bench,
            _BASE.clock.at_us,
            lambda name, index: say_so(event=name, entry=index),
        ).play()
        bench.stop()
    except SafeholdError as error:
        say_so(error=error.rule or error.code)
    except BaseException as error:
        say_so(foreign=type(error).__name__)
        raise
    finally:
        say_so(steps=steps.names)


def _fresh(path: Path) -> Path:
    path.mkdir(parents=True)
    return path


def _read_base(path: Path, at_us: int) -> Bench:
    with outside(path):
        home = Home.open(path / "home")
    keys = {file.stem: SigningKey.read(file) for file in (path / "seats").glob("*.key")}
    return Bench(path, home, open_sealed(home.root_file, PASSPHRASE), FixedClock(at_us), keys)


if __name__ == "__main__":
    _BASE = _read_base(Path(sys.argv[1]), int(sys.argv[2]))
    main(work)
