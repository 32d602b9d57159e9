"""k of n witnesses: who may be missing, who never, and what is published when."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.ledger_desk import ORIGIN, Desk, entry

import safehold_verify as verifier
from safehold.clock import FixedClock
from safehold.errors import InvalidError, TamperedError, UnavailableError
from safehold.ledger import Ledger, Witness, policy_text
from safehold.ledger import publisher as publisher_module
from safehold.ledger.note import open_note, text_of
from safehold.ledger.quorum import Quorum
from safehold.ledger.tree import EMPTY
from safehold.ledger.vkey import LATTICE, VKey
from safehold.ledger.witness import Answer


class Far:
    """A witness elsewhere, whose line can be cut: all of it, or only the way of new heads."""

    def __init__(self, witness: Witness) -> None:
        self.witness, self.name, self.vkey = witness, witness.name, witness.vkey
        self.up = self.takes = True
        self.asked = 0

    def head(self, origin: str) -> bytes | None:
        self.asked += 1
        if not self.up:
            raise UnavailableError(f"{self.name} is down", rule="test")
        return self.witness.head(origin)

    def add_checkpoint(self, old: int, proof: Sequence[bytes], note: bytes) -> Answer:
        if not self.up or not self.takes:
            raise UnavailableError(f"{self.name} is down", rule="test")
        return self.witness.add_checkpoint(old, proof, note)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture
def far(desk: Desk) -> list[Far]:
    names = ("a.example", "b.example", "c.example")
    return [
        Far(
            Witness.create(
                desk.outside.with_name(name),
                name=name,
                logs=[desk.signer.vkey.text()],
                clock=desk.clock,
            )
        )
        for name in names
    ]


def start(desk: Desk, far: Sequence[Far], quorum: int | None = None) -> Ledger:
    return Ledger.open(
        desk.directory,
        signer=desk.signer,
        witnesses=far,
        quorum=quorum,
        sidecar=desk.sealer,
        clock=desk.clock,
    )


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is published by itself."""
    monkeypatch.setattr(publisher_module, "INTERVAL", 3_600)


def test_published_heads_carry_both_kinds_of_signature(desk: Desk) -> None:
    with desk.open() as ledger:
        ledger.append([entry()])
        committed = ledger._sequencer.head[1]
        ledger.publish()
        note = ledger.head()
    assert committed.count("\N{EM DASH}".encode()) == 1
    keys = [VKey.parse(one) for one in (*desk.signer.policy_keys, *desk.witness.vkeys)]
    _, held = open_note(note, keys)
    assert [key.algorithm for key in held] == [0x01, 0x06, 0x04, 0x06]
    times = [at for key, at in held.items() if key.algorithm == LATTICE]
    assert times[0] == 0  # the log's own
    assert times[1] == desk.clock.now_us() // 1_000_000
    assert len(text_of(note).splitlines()) == 3  # no extension line


def test_a_witness_never_cosigns_at_time_zero(desk: Desk, tmp_path: Path) -> None:
    early = Witness.create(
        tmp_path / "z", name="z.example", logs=[desk.signer.vkey.text()], clock=FixedClock(0)
    )
    with pytest.raises(InvalidError):
        early.add_checkpoint(
            0, [], desk.signer.sign(f"{ORIGIN}\n0\n{verifier_b64(EMPTY)}\n".encode())
        )


def verifier_b64(data: bytes) -> str:
    from safehold.canonical import b64

    return b64(data)


@pytest.mark.usefixtures("still")
def test_one_of_three_may_be_down(desk: Desk, far: list[Far]) -> None:
    far[2].up = False
    with start(desk, far, quorum=2) as ledger:
        ledger.append([entry()])
        ledger.publish()
        ledger.check_health()
        assert ledger.cosigned == 1
        assert set(ledger.unreachable) == {"c.example"}
        far[1].up = False
        with pytest.raises(UnavailableError, match="only 1 of the 2"):
            ledger.check_health()
        ledger.append([entry()])
        with pytest.raises(UnavailableError):
            ledger.publish()
        assert ledger.cosigned == 1
        far[2].up = True  # it lags behind, and catches up when it is needed
        ledger.publish()
        ledger.check_health()
    policy = policy_text(
        desk.signer.policy_keys,
        {one.name.split(".")[0]: one.witness.vkeys for one in far},
        quorum=2,
    )
    desk.policy.write_text(policy, "utf-8")
    assert verifier.verify_log(desk.directory, desk.policy).size == 2
    strict = policy_text(
        desk.signer.policy_keys, {one.name.split(".")[0]: one.witness.vkeys for one in far}
    )
    desk.policy.write_text(strict, "utf-8")
    with pytest.raises(verifier.VerificationError, match="too few"):
        verifier.verify_log(desk.directory, desk.policy)


@pytest.mark.usefixtures("still")
def test_one_that_is_down_is_left_in_peace(desk: Desk, far: list[Far]) -> None:
    far[2].up = False
    with start(desk, far, quorum=2) as ledger:
        quorum = ledger._publisher.quorum
        quorum._rest = 3_600
        ledger.check_health()
        asked = far[2].asked
        quorum._resting["c.example"] = (float("inf"), 60)
        for _ in range(3):
            ledger.check_health()
        assert far[2].asked == asked  # the others suffice
        far[1].up = False
        far[2].up = True
        ledger.check_health()  # now it is needed
        assert far[2].asked == asked + 1


@pytest.mark.usefixtures("still")
def test_fewer_than_the_quorum_at_the_start_means_reading_only(desk: Desk, far: list[Far]) -> None:
    with start(desk, far, quorum=2) as ledger:
        ledger.append([entry()])
    far[0].up = far[1].up = False
    with start(desk, far, quorum=2) as ledger:
        assert ledger.size == 1
        with pytest.raises(UnavailableError):
            ledger.append([entry()])
        with pytest.raises(UnavailableError):
            ledger.check_health()
    far[0].up = True
    with start(desk, far, quorum=2) as ledger:
        ledger.append([entry()])


@pytest.mark.parametrize("moment", ["start", "running"])
@pytest.mark.usefixtures("still")
def test_one_witness_that_knows_more_stops_whatever_the_others_say(
    desk: Desk, far: list[Far], tmp_path: Path, moment: str
) -> None:
    """The quorum of two is there and agrees; the third has seen a larger log."""
    other = Desk(tmp_path / "other")
    with Ledger.open(
        other.directory,
        signer=other.signer,
        witnesses=[far[2]],
        sidecar=other.sealer,
        clock=other.clock,
    ) as ledger:
        if moment == "start":
            ledger.append([entry(1), entry(2), entry(3)])
    with start(desk, far[:2], quorum=2) as ledger:
        ledger.append([entry()])
    if moment == "start":
        with pytest.raises(TamperedError, match="knows 3 entries"):
            start(desk, far, quorum=2)
        return
    with (
        start(desk, far, quorum=2) as ledger,
        Ledger.open(
            other.directory,
            signer=other.signer,
            witnesses=[],
            sidecar=other.sealer,
            clock=other.clock,
        ) as fork,
    ):
        fork.append([entry(1), entry(2), entry(3)])
        note = fork._sequencer.head[1]
        from safehold.ledger.proof import prove_consistency
        from safehold.ledger.replay import read_nodes

        known = far[2].witness.head(ORIGIN)
        assert known is not None
        memory = far[2].witness._memory(ORIGIN)
        memory.unlink()  # the thief of the log key had it cosigned before we did
        assert far[2].witness.add_checkpoint(0, [], note).status == 200
        assert prove_consistency(read_nodes(fork._journal, fork._sequencer.head[0]), 0, 3) == []
        with pytest.raises(TamperedError, match="knows 3 entries"):
            ledger.check_health()
        ledger.append([entry(), entry(), entry()])
        with pytest.raises(TamperedError):
            ledger.publish()
        with pytest.raises(TamperedError):
            ledger.append([entry()])


def test_a_witness_that_does_not_know_the_key_is_no_fork(
    desk: Desk, far: list[Far], still: None
) -> None:
    far[1].witness.distrust(desk.signer.vkey.text())
    with start(desk, far, quorum=2) as ledger:
        ledger.append([entry()])
        ledger.publish()
        assert "b.example" in ledger.unreachable
    far[2].up = False
    with start(desk, far, quorum=2) as ledger:
        ledger.append([entry()])
        with pytest.raises(UnavailableError, match="does not take our head"):
            ledger.publish()
        far[1].witness.trust(desk.signer.vkey.text())
        ledger.publish()


def test_quorums_that_cannot_be(far: list[Far]) -> None:
    for witnesses, need in ((far, 4), (far, 0), (far, -1), ([], 1), ([far[0], far[0]], 1)):
        with pytest.raises(InvalidError):
            Quorum(witnesses, need=need)
    assert Quorum(far).need == 3
    assert Quorum([]).need == 0


@pytest.mark.usefixtures("still")
def test_waiting_for_a_cosigned_head_publishes_at_once(desk: Desk, far: list[Far]) -> None:
    with start(desk, far, quorum=2) as ledger:
        [receipt] = ledger.append([entry()])
        assert ledger.cosigned == 0
        ledger.await_cosigned(receipt.index, timeout_s=60)  # nothing is published by itself here
        assert ledger.cosigned == 1
        far[0].takes = far[1].takes = False
        [receipt] = ledger.append([entry()])
        ledger.await_cosigned(0, timeout_s=0)  # that one still holds
        with pytest.raises(UnavailableError) as found:
            ledger.await_cosigned(receipt.index, timeout_s=0.3)
        assert (found.value.rule, found.value.entry) == ("ledger.strict", receipt.index)
        assert ledger.size == 2  # the entry stays
        far[0].takes = True
        ledger.await_cosigned(receipt.index, timeout_s=60)


@pytest.mark.usefixtures("still")
def test_a_head_of_too_few_is_cosigned_again_when_the_quorum_grows(
    desk: Desk, far: list[Far]
) -> None:
    far[1].up = far[2].up = False
    with start(desk, far, quorum=1) as ledger:
        ledger.append([entry()])
    far[1].up = True
    with start(desk, far, quorum=2) as ledger:
        assert ledger.cosigned == 1
        _, held = open_note(ledger.head(), [VKey.parse(one.vkey) for one in far])
        assert len(held) == 2


# -- time as the witnesses have it ------------------------------------------------------------------


def clocked(desk: Desk, *seconds: int) -> list[Witness]:
    """Return witnesses whose clocks stand so many seconds from the log's."""
    return [
        Witness.create(
            desk.outside.with_name(f"w{number}"),
            name=f"w{number}.example",
            logs=[desk.signer.vkey.text()],
            clock=FixedClock(desk.clock.now_us() + away * 1_000_000),
        )
        for number, away in enumerate(seconds)
    ]


@pytest.mark.parametrize(
    ("clocks", "quorum", "passed", "known"),
    [
        ((0, 0, 0), 2, 0, 0),
        ((0, 5, 900_000), 2, 5, 5),  # one liar ahead brings nothing forward
        ((-900_000, 0, 5), 2, 0, 0),  # one behind antedates nothing
        ((-900_000, 0, 900_000), 2, 0, 0),
        ((0, 900_000), 2, 0, 900_000),  # all are needed: the honest one decides both
        ((-900_000, 0), 2, -900_000, 0),
        ((7,), 1, 7, 7),
    ],
)
def test_fewer_liars_than_the_quorum_move_no_time(
    desk: Desk, still: None, clocks: tuple[int, ...], quorum: int, passed: int, known: int
) -> None:
    now = desk.clock.now_us() // 1_000_000
    witnesses = clocked(desk, *clocks)
    with Ledger.open(
        desk.directory,
        signer=desk.signer,
        witnesses=witnesses,
        quorum=quorum,
        sidecar=desk.sealer,
        clock=desk.clock,
    ) as ledger:
        [receipt] = ledger.append([entry()])
        assert ledger.witnessed(receipt.index) is None
        assert ledger.witnessed_now() == now + passed
        assert ledger.witnessed(receipt.index) == now + known


def test_asking_again_keeps_when_an_entry_was_first_known(desk: Desk, still: None) -> None:
    [witness] = clocked(desk, 0)
    with start(desk, [witness]) as ledger:  # type: ignore[list-item]
        [receipt] = ledger.append([entry()])
        ledger.publish()
        first = ledger.witnessed(receipt.index)
        assert isinstance(witness._clock, FixedClock)
        witness._clock.advance(86_400 * 1_000_000)
        assert ledger.witnessed_now() == (first or 0) + 86_400
        assert ledger.witnessed(receipt.index) == first
        [later] = ledger.append([entry(2)])
        ledger.publish()
        assert ledger.witnessed(later.index) == (first or 0) + 86_400
        assert ledger.witnessed(receipt.index) == first
    with start(desk, [witness]) as ledger:  # type: ignore[list-item]
        assert ledger.witnessed(receipt.index) == first


def test_without_a_quorum_there_is_no_time(desk: Desk, far: list[Far], still: None) -> None:
    with start(desk, far, quorum=2) as ledger:
        [receipt] = ledger.append([entry()])
        far[0].up = far[1].up = False
        with pytest.raises(UnavailableError):
            ledger.witnessed_now()
        assert ledger.witnessed(receipt.index) is None
        far[0].up = far[1].up = True
    with start(desk, far[2:], quorum=1) as ledger:  # the quorum was of others
        assert ledger.witnessed_now()
