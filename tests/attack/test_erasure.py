"""After an erasure nothing that is stored leads to the person, whatever is tried with whatever is left."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from tests.control_place import Control
from tests.keeper_desk import Bench, batch, chunk, copy_bench, found_bench
from tests.stores import STORES, move_objects

from safehold import canonical
from safehold.canonical import b64, unb64
from safehold.errors import MissingError, SafeholdError, ShreddedError, TamperedError
from safehold.ledger.entry import commit
from safehold.ledger.subjects import epoch_key, item_of, label_of, tag_of
from safehold.signing import SigningKey
from safehold.vault.keyring import PERSON, KeyName
from safehold_verify import verify_log
from safehold_verify.package import verify_package

EVERYBODY = tuple(f"employee-{4700 + number}" for number in range(6))
SHE, HE = EVERYBODY[:2]
STEPS = ("choice", "index", "begin", "destroy", "forget", "result")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, control: Control) -> Bench:
    return found_bench(tmp_path_factory.mktemp("erasure"), people=EVERYBODY, control=control)


@pytest.fixture
def bench(made: Bench, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Bench]:
    copy = move_objects(copy_bench(made, tmp_path), request).start()
    yield copy
    copy.stop()


def lived(bench: Bench) -> SigningKey:
    """Let some things happen: data, choices, devices, epochs, over which she and others leave traces."""
    device = SigningKey.generate()
    day = bench.today - 1
    sent = [
        batch(one, day, extents=[["00" * 8, hashlib.sha256(one.encode()).hexdigest()[:16], 0, 1]])
        for one in EVERYBODY
    ]
    bench.ingest(*sent, chunk(rows=2 * len(EVERYBODY)))
    for person in (SHE, HE):
        bench.call("people.choose", person=person, choice="pause")
        bench.call("people.choose", person=person, choice="resume")
    key = device.public.text()
    bench.call("source.add", person=SHE, device=key)
    bench.call("ledger.close-epoch")
    bench.call("people.choose", person=SHE, choice="pause")
    bench.call("ledger.close-epoch")
    bench.call("people.choose", person=SHE, choice="resume")
    return device


def erase(bench: Bench, person: str = SHE) -> dict[str, Any]:
    return bench.call("people.erase", person=person, evidence="a letter of hers")


def stored(bench: Bench) -> bytes:
    """Return everything that is stored, in the clear wherever a key that still lives opens it, joined."""
    desk, found = bench.desk, []
    for index, leaf in desk.ledger.leaves():
        found.append(desk.ledger.leaf(index))
        opening = desk.ledger.opening(index)
        found += [
            *opening.values.values(),
            *opening.people.items,
            opening.people.nonce,
            opening.key,
        ]
        for name, value in opening.values.items():
            assert b64(commit(name, value, opening.blinds[name])) == leaf[name]
        epoch = sum(index >= begin for begin in desk.ledger.epochs._begins) - 1
        try:
            _, handles = desk.ledger.handles(index, epoch=epoch)
        except ShreddedError:
            continue
        found += handles
    for epoch in range(desk.ledger.epochs.closed()):
        tree, rows = desk.index.tree(epoch)
        found += [part for leaf in tree.leaves for part in leaf]
        found += [row.sealed for row in rows.values()]
    control, home = bench.control, bench.home
    for table in control.tables(home):
        for row in control.edit(home, f'SELECT * FROM "{table}"'):  # noqa: S608
            found += [one if isinstance(one, bytes) else str(one).encode() for one in row]
    for name, sealed, version in control.edit(home, "SELECT id, sealed, version FROM person"):
        aad = f"person/{name}/{version}".encode()
        found.append(desk.people._sealer.open(sealed, aad=aad))
    for name, sealed, version in control.edit(home, "SELECT id, sealed, version FROM device"):
        found.append(desk.devices._sealer.open(sealed, aad=f"device/{name}/{version}".encode()))
    for file in sorted(bench.home.path.rglob("*")):
        if file.is_file():
            found.append(file.read_bytes())
    return b"\0".join(found)


def forms(bench: Bench, candidate: bytes) -> Iterator[bytes]:
    """Yield whatever a name could have been turned into with the keys that still live."""
    keys = [bench.desk.people._lookup_key, bench.desk.vault.derive("lookup")]
    keys += [
        bench.desk.vault.derive(f"pseudonym/{one}")
        for one in ("us-ca.pointer", "us-ca.key", "wire")
    ]
    keys += bench.desk.vault.subjects.living().values()
    digests = [hashlib.sha256(candidate).digest(), hashlib.sha256(b"\0" + candidate).digest()]
    digests += [hmac.digest(key, candidate, "sha256") for key in keys]
    yield candidate
    for digest in digests:
        yield digest[:16]
        yield digest.hex()[:32].encode()
        yield b64(digest)[:20].encode()


def numbers(bench: Bench, key: bytes) -> set[bytes]:
    """Return every label, tag and item that a ledger key gives anywhere in the log."""
    desk, found = bench.desk, set()
    epochs = range(desk.ledger.epochs.current + 1)
    keys = [epoch_key(key, epoch) for epoch in epochs]
    for own in keys:
        found |= {label_of(own)[:16], own[:16]}
    nonces = [desk.ledger.opening(index).people.nonce for index, _ in desk.ledger.leaves()]
    for own, nonce in product(keys, filter(None, nonces)):
        found |= {tag_of(own, nonce)[:16], item_of(own, nonce)[:16]}
    return found


def test_nothing_that_is_stored_leads_to_who_was_erased(bench: Bench) -> None:
    device = lived(bench)
    before = bench.call("people.trail", person=HE)
    person = str(bench.desk.people.find(SHE))
    key = bench.desk.vault.subjects.living()[person]
    seen = stored(bench)
    # the search finds her while she is here, in every way that it is made
    assert person.encode() in seen
    assert device.public.text().encode() in seen
    assert any(form in seen for form in list(forms(bench, SHE.encode()))[1:])
    assert any(label[:16] in seen for label in numbers(bench, key))

    answer = erase(bench)
    assert answer["keys"] >= 2
    bench.restart()
    seen = stored(bench)
    for candidate in (SHE, person, device.public.text(), device.public.key_id):
        for form in forms(bench, candidate.encode()):
            assert form not in seen, candidate
    assert key not in seen
    everybody = [*EVERYBODY[1:], *map(str, bench.desk.people.everybody())]
    assert any(one.encode() in seen for one in everybody), "the others are still found"
    # of all keys that are left none gives any of her items
    desk = bench.desk
    keys = desk.vault.subjects.living().values()
    nobody = 0
    for index, _ in desk.ledger.leaves():
        people = desk.ledger.opening(index).people
        epoch = sum(index >= begin for begin in desk.ledger.epochs._begins) - 1
        theirs = {item_of(epoch_key(one, epoch), people.nonce) for one in keys}
        rest = set(people.items) - people.padding() - theirs
        assert len(rest) <= 1
        nobody += len(rest)
    assert nobody == 8, "enrolment, intake, four choices, a device, the erasure"
    # and old proofs hold
    report = verify_log(bench.home.ledger, bench.home.policy_file, heads=_heads(bench))
    assert report.size == desk.ledger.size
    file = bench.path / "package.json"
    file.write_text(before["package"])
    assert len(verify_package(file, bench.home.policy_file).uses) == 4


def _heads(bench: Bench) -> list[bytes]:
    bench.desk.ledger.publish()
    return [one.read_bytes() for one in bench.home.witness.glob("**/checkpoint")]


def test_entries_of_who_was_erased_cannot_be_linked_to_one_another(bench: Bench) -> None:
    """What hid who was in which entry goes with the first erasure; the lists lie under the person's own key."""
    lived(bench)
    erase(bench)
    for index, leaf in bench.desk.ledger.leaves(0, bench.desk.ledger.epochs.begin(1)):
        if bench.desk.ledger.opening(index).people.items:
            with pytest.raises(ShreddedError):
                bench.desk.ledger.handles(index, epoch=0)
        assert leaf["v"] == "sh-audit/1"
    # those who are here still get their lists
    report = trail(bench, HE)
    assert [span.count for span in report.spans][:2] == [4, 0]


def trail(bench: Bench, person: str) -> Any:
    file = bench.path / "package.json"
    file.write_text(bench.call("people.trail", person=person)["package"])
    return verify_package(file, bench.home.policy_file)


def test_the_person_can_show_that_their_request_was_carried_out(bench: Bench) -> None:
    answer = erase(bench)
    leaf = json.loads(unb64(answer["leaf"]))
    assert leaf["k"] == "erasure"
    found = commit("obj", answer["request"].encode(), unb64(answer["r"]))
    assert b64(found) == leaf["obj"]
    done = dict(bench.desk.ledger.leaves())[answer["result"]]
    assert (done["k"], done["ref"], done["pub"]) == ("erasure", answer["entry"], {"state": "done"})


@pytest.mark.parametrize("bench", STORES, indirect=True)
def test_who_was_erased_is_nobody_and_can_come_anew(bench: Bench) -> None:
    device = lived(bench)
    taken = bench.blocks()
    erase(bench)
    assert bench.blocks() == {name: count for name, count in taken.items() if name != SHE}
    for verb in ("people.show", "people.trail", "people.receipt"):
        with pytest.raises(MissingError):
            bench.call(verb, person=SHE)
    assert bench.call("people.count")["erased"] == 1
    bench.restart()
    assert bench.call("people.count")["erased"] == 1
    one = {"person": SHE, "jurisdiction": "US-CA", "streams": ["pointer"]}
    assert bench.call("people.enrol", people=[one], evidence="anew")["enrolled"] == 1
    assert not bench.call("source.add", person=HE, device=device.public.text())["already"]
    bench.restart()
    assert trail(bench, SHE).uses[0].kind == "choice"


class PowerCutError(Exception):
    pass


@pytest.mark.parametrize("step", STEPS)
def test_an_erasure_that_a_crash_cut_short_is_finished(bench: Bench, step: str) -> None:
    lived(bench)

    def cut(reached: str) -> None:
        if reached == step:
            raise PowerCutError

    bench.verbs.erasure.reached = cut
    with pytest.raises(PowerCutError):
        erase(bench)
    bench.restart()
    if step == "choice":  # nothing had happened yet
        assert bench.desk.people.standing(bench.desk.people.find(SHE)).withdrawn_us is None
        return
    with pytest.raises(MissingError):
        bench.call("people.show", person=SHE)
    states = [
        leaf["pub"]["state"] for _, leaf in bench.desk.ledger.leaves() if leaf["k"] == "erasure"
    ]
    assert states == ["begun", "done"]
    size = bench.desk.ledger.size
    bench.restart()
    assert bench.desk.ledger.size == size, "once"
    assert [span.count for span in trail(bench, HE).spans][:2] == [4, 0]


@pytest.mark.parametrize("bench", STORES, indirect=True)
def test_a_crash_in_the_midst_of_forgetting_is_finished(bench: Bench) -> None:
    lived(bench)
    real = bench.desk.people.erase

    def cut(_person: str) -> None:
        raise PowerCutError

    bench.desk.people.erase = cut
    with pytest.raises(PowerCutError):
        erase(bench)
    bench.desk.people.erase = real
    bench.restart()
    assert bench.call("people.count")["erased"] == 1
    bench.restart()


def refused(bench: Bench) -> SafeholdError:
    bench.stop()
    with pytest.raises(TamperedError) as caught:
        bench.start()
    return caught.value


def keep(bench: Bench, path: Path) -> Control | Path:
    bench.stop()
    kept = bench.control.keep(bench.home, path)
    bench.start()
    return kept


def put_back(bench: Bench, old: Control | Path) -> None:
    bench.stop()
    bench.control.put_back(bench.home, old)


@pytest.mark.parametrize("erased", [False, True])
def test_an_older_register_is_noticed_though_some_leaves_cannot_be_read(
    bench: Bench, tmp_path: Path, *, erased: bool
) -> None:
    """Leaves that nobody can read are those of the erased; not one more."""
    if erased:
        erase(bench)
    old = keep(bench, tmp_path / "old.db")
    bench.call("people.choose", person=HE, choice="pause")
    bench.call("people.choose", person=HE, choice="withdraw")
    put_back(bench, old)
    assert refused(bench).rule == "subjects.rollback"


def test_a_register_from_before_the_erasure_is_noticed(bench: Bench, tmp_path: Path) -> None:
    old = keep(bench, tmp_path / "old.db")
    erase(bench)
    put_back(bench, old)
    bench.stop()
    with pytest.raises((TamperedError, ShreddedError)):
        bench.start()


def test_somebody_whose_key_was_deleted_is_not_taken_for_erased(bench: Bench) -> None:
    erase(bench)
    person = bench.desk.people.find(HE)
    bench.stop()
    delete = "DELETE FROM vault_key WHERE kind = 'subject' AND owner = ?"
    assert len(bench.control.edit(bench.home, delete, person)) == 1
    assert refused(bench).rule == "subjects.rollback"


def test_somebody_who_is_deleted_by_hand_is_not_taken_for_erased(bench: Bench) -> None:
    """Row and keys at once, choices and all: the enrolment does not add up, and leaves are unreadable."""
    bench.call("people.choose", person=HE, choice="pause")
    erase(bench)
    person = bench.desk.people.find(HE)
    bench.stop()
    bench.control.edit(bench.home, "DELETE FROM vault_key WHERE owner = ?", person)
    bench.control.edit(bench.home, "DELETE FROM person WHERE id = ?", person)
    assert refused(bench).rule == "subjects.rollback"


def test_a_voucher_of_another_does_not_make_somebody_erased(bench: Bench) -> None:
    """What stays of the erased is sealed to its own row, so a copy of it does not stand in for anybody."""
    erase(bench)
    person = bench.desk.people.find(HE)
    bench.stop()
    home = bench.home
    bench.control.edit(home, "DELETE FROM vault_key WHERE owner = ?", person)
    ((sealed,),) = bench.control.edit(home, "SELECT sealed FROM person WHERE id LIKE 'gone%'")
    bench.control.edit(home, "UPDATE person SET sealed = ? WHERE id = ?", sealed, person)
    assert isinstance(refused(bench), TamperedError)


def test_choices_erasures_and_devices_look_alike(bench: Bench) -> None:
    start = bench.desk.ledger.size
    bench.call("people.choose", person=HE, choice="pause")
    bench.call("people.choose", person=SHE, choice="withdraw")
    bench.call("source.add", person=HE, device=SigningKey.generate().public.text())
    one = {"person": "somebody", "jurisdiction": "US-CA", "streams": []}
    bench.call("people.enrol", people=[one], evidence="anew")
    erase(bench)
    journal = bench.desk.ledger._journal
    found = [at for at, leaf in bench.desk.ledger.leaves(start) if leaf["k"] == "choice"]
    assert len(found) == 5
    assert len({len(journal.sidecar(at)) for at in found}) == 1
    assert len({len(bench.desk.ledger.leaf(at)) for at in found}) == 1
    said = [canonical.encode(bench.desk.ledger.detail(at)) for at in found]
    assert not any(HE.encode() in one for one in said)


@pytest.mark.parametrize("bench", STORES, indirect=True)
def test_who_is_erased_while_their_rows_come_in_is_left_out(bench: Bench) -> None:
    day = bench.today - 1

    def sent(one: str) -> Any:
        session = hashlib.sha256(one.encode()).hexdigest()[:16]
        return batch(one, day, extents=[["00" * 8, session, 0, 1]])

    person = str(bench.desk.people.find(SHE))
    bench.ingest(sent(SHE), sent(HE), lambda: erase(bench), chunk(rows=4))
    assert bench.blocks() == {HE: 1}
    assert person not in bench.desk.vault.owners()


def test_a_key_that_was_made_too_late_ends_at_the_next_start(bench: Bench) -> None:
    """Sealing makes missing keys; one that began before an erasure could make them after it."""
    lived(bench)
    person = str(bench.desk.people.find(SHE))
    erase(bench)
    bench.desk.vault._lookup.make(
        "us-ca.pointer", {KeyName(PERSON, person, "pointer", bench.today + 9)}
    )
    bench.restart()
    assert person not in bench.desk.vault.owners()


def test_no_ledger_key_is_made_for_who_was_erased(bench: Bench) -> None:
    person = str(bench.desk.people.find(SHE))
    erase(bench)
    with pytest.raises(MissingError):
        bench.desk.subjects([person])
