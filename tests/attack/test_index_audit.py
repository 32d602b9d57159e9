"""An auditor who computes an index again finds whatever was left out of it, and cannot learn who anybody is."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.crowd import Crowd
from tests.ledger_desk import entry

from safehold.ledger.audit import seal_bundle
from safehold.ledger.epoch import Epochs
from safehold.ledger.shelf import Row
from safehold.ledger.subjects import epoch_key, label_of
from safehold_verify import Auditor, VerificationError, check_statement, index, verify_index
from safehold_verify.index import IndexReport, value_of

Said = dict[str, Any]
AUDITOR = Auditor("dpo.example", b"k" * 32)


@pytest.fixture
def crowd(tmp_path: Path):
    crowd = Crowd(tmp_path, people=6)
    yield crowd
    crowd.ledger.close()


def live(crowd: Crowd) -> None:
    crowd.use(0, 1, 2)
    crowd.use(0)
    crowd.use(3, 4, flags=9)
    crowd.ledger.append([entry()])


def audit(crowd: Crowd, bundle: bytes | None = None, epoch: int = 0) -> IndexReport:
    data = crowd.bundle(epoch) if bundle is None else bundle
    return verify_index(crowd.desk.directory, crowd.desk.policy, data, heads=[crowd.desk.head])


def spell(said: Said) -> bytes:
    return json.dumps(said, sort_keys=True, separators=(",", ":")).encode()


def test_a_complete_index_is_confirmed(crowd: Crowd) -> None:
    live(crowd)
    crowd.close()
    report = audit(crowd)
    assert (report.entries, report.people, report.closed, report.unaccounted) == (3, 5, 0, 0)
    note = AUDITOR.sign(report)
    check_statement(note, report, AUDITOR.public.splitlines()[0])


# -- what a false keeper would do ------------------------------------------------------------------


def rewrite(crowd: Crowd, change: Callable[[list[Row]], list[Row]]) -> None:
    """Close the epoch over other rows than those of its entries; the false root is in the log."""
    real = crowd.index._rows
    crowd.index._rows = lambda epoch: change(list(real(epoch)))
    crowd.close()
    crowd.index._rows = real


def without_an_entry(crowd: Crowd) -> Callable[[list[Row]], list[Row]]:
    """A person's list lacks one entry; everything else is consistent with that."""
    key = epoch_key(crowd.keys[0], 0)

    def change(rows: list[Row]) -> list[Row]:
        nonce = crowd.ledger.opening(0).people.nonce
        return [
            Row.of(key, value_of(key, [(0, nonce)]), [0]) if one.label == label_of(key) else one
            for one in rows
        ]

    return change


def without_a_person(crowd: Crowd) -> Callable[[list[Row]], list[Row]]:
    key = epoch_key(crowd.keys[3], 0)
    return lambda rows: [one for one in rows if one.label != label_of(key)]


def with_a_false_label(crowd: Crowd) -> Callable[[list[Row]], list[Row]]:
    """Somebody's list under a label that they will never look for."""
    key = epoch_key(crowd.keys[4], 0)
    return lambda rows: [
        Row(b"\x77" * 32, one.value, one.sealed) if one.label == label_of(key) else one
        for one in rows
    ]


@pytest.mark.parametrize("how", [without_an_entry, without_a_person])
def test_what_is_left_out_of_the_index_is_found_by_the_items(crowd: Crowd, how: Callable) -> None:
    """The bundle says what the false index says: an item is then nobody's."""
    live(crowd)
    rewrite(crowd, how(crowd))
    error = raised(lambda: audit(crowd))
    assert error.message == "an item is neither a listed person's nor padding"
    assert error.where in {"leaf 1", "leaf 2"}


def test_the_true_lists_do_not_fit_a_false_root(crowd: Crowd) -> None:
    """The bundle tells the truth about the entries; the root in the log does not."""
    live(crowd)
    rewrite(crowd, without_an_entry(crowd))
    said = json.loads(crowd.bundle(0))
    her = base64.b64encode(epoch_key(crowd.keys[0], 0)).decode()
    said["people"] = [[key, [0, 1] if key == her else uses] for key, uses in said["people"]]
    assert raised(lambda: audit(crowd, spell(said))).where == "epoch 0"


def test_a_false_label_is_found(crowd: Crowd) -> None:
    live(crowd)
    rewrite(crowd, with_a_false_label(crowd))
    # as it comes from the keeper: a row whose key is not there, though nobody was erased
    assert "nor padding" in raised(lambda: audit(crowd)).message
    # and with the person's true key in it, so that every item is accounted for
    said = json.loads(crowd.bundle(0))
    said["closed"] = []
    said["people"].append([base64.b64encode(epoch_key(crowd.keys[4], 0)).decode(), [2]])
    assert raised(lambda: audit(crowd, spell(said))).where == "epoch 0"


def test_a_label_that_comes_twice_is_found(crowd: Crowd) -> None:
    """Two rows under one label could show one person two lists; the root is over both, and somebody was erased."""
    live(crowd)
    rewrite(crowd, lambda rows: [Row(rows[0].label, bytes(32), b""), *rows])
    crowd.ledger.append([entry(kind="erasure", public={"state": "begun"})])
    crowd.ledger.publish()
    said = json.loads(crowd.bundle(0))
    labels = {label_of(base64.b64decode(key)) for key, _ in said["people"]}
    doubled = next(
        one for one, value in crowd.index.tree(0)[0].leaves if value == bytes(32) and one in labels
    )
    said["closed"] = [[base64.b64encode(doubled).decode(), base64.b64encode(bytes(32)).decode()]]
    assert raised(lambda: audit(crowd, spell(said))).message == "a label comes twice"
    said = json.loads(crowd.bundle(0))
    said["people"].append(said["people"][0])
    raised(lambda: audit(crowd, spell(said)))


# -- what is wrong in a bundle ---------------------------------------------------------------------


def entry_left_out(said: Said) -> None:
    del said["entries"][1]


def entry_twice(said: Said) -> None:
    said["entries"].append(said["entries"][0])


def item_left_out(said: Said) -> None:
    said["entries"][0][3] = base64.b64encode(base64.b64decode(said["entries"][0][3])[:96]).decode()


def false_padding(said: Said) -> None:
    said["entries"][0][2] = base64.b64encode(b"z" * 32).decode()


def person_left_out(said: Said) -> None:
    del said["people"][0]


def person_twice(said: Said) -> None:
    said["people"].append(said["people"][0])


def use_too_many(said: Said) -> None:
    said["people"][0][1] = sorted({*said["people"][0][1], 0, 1, 2})


def use_of_nothing(said: Said) -> None:
    said["people"][0][1] = [*said["people"][0][1], 3]


def nobodys_row(said: Said) -> None:
    said["closed"] = [[base64.b64encode(b"y" * 32).decode(), base64.b64encode(b"y" * 32).decode()]]


def other_seed(said: Said) -> None:
    said["seed"] = base64.b64encode(b"x" * 32).decode()


def other_epoch(said: Said) -> None:
    said["epoch"] = 1


def open_epoch(said: Said) -> None:
    said["epoch"] = 2


def other_log(said: Said) -> None:
    said["origin"] = "example.com/other"


@pytest.mark.parametrize(
    "forge",
    [
        entry_left_out, entry_twice, item_left_out, false_padding, person_left_out, person_twice, use_too_many,
        use_of_nothing, nobodys_row, other_seed, other_epoch, open_epoch, other_log,
    ],
    ids=lambda one: one.__name__,
)  # fmt: skip
def test_a_false_bundle_is_refused(crowd: Crowd, forge: Callable[[Said], None]) -> None:
    live(crowd)
    crowd.close()
    crowd.use(5)
    crowd.close()
    said = json.loads(crowd.bundle(0))
    forge(said)
    raised(lambda: audit(crowd, spell(said)))


def test_a_bundle_is_useless_for_other_epochs_and_names_nobody(crowd: Crowd) -> None:
    live(crowd)
    crowd.close()
    crowd.use(*range(6))
    crowd.close()
    data = crowd.bundle(0)
    for key in crowd.keys:
        assert base64.b64encode(key) not in data
        assert base64.b64encode(epoch_key(key, 1)) not in data
    assert set(json.loads(data)) == {
        "v", "origin", "epoch", "seed", "people", "closed", "entries",
    }  # fmt: skip


# -- after an erasure ------------------------------------------------------------------------------


def test_after_an_erasure_an_audit_says_what_it_can_no_longer_show(crowd: Crowd) -> None:
    live(crowd)
    crowd.close()
    crowd.ledger.append([entry(kind="erasure", public={"state": "begun"})])
    crowd.ledger.publish()
    crowd.gone.add(0)
    report = audit(crowd)
    assert (report.people, report.closed, report.unaccounted) == (4, 1, 2)
    raised(lambda: AUDITOR.sign(report))


def test_no_more_rows_are_closed_than_people_were_erased(crowd: Crowd) -> None:
    live(crowd)
    crowd.close()
    crowd.ledger.append([entry(kind="erasure", public={"state": "begun"})])
    crowd.ledger.publish()
    crowd.gone |= {0, 3}
    raised(lambda: audit(crowd))


# -- files that are exchanged between the check of the log and its use ------------------------------


def exchanged(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], None]
) -> None:
    """Let somebody with the directory in hand strike as soon as the log has been checked."""
    real = index.verify_log

    def check(directory: Path, *rest: Any, **more: Any) -> Any:
        found = real(directory, *rest, **more)
        change(directory)
        return found

    monkeypatch.setattr(index, "verify_log", check)


def bundles(directory: Path) -> Path:
    (found,) = [one for one in (directory / "tile/entries").rglob("*") if one.is_file()]
    return found


def test_an_entry_that_is_exchanged_after_the_check_is_found(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The false index lacks a person; the exchanged entry says that it is about nobody."""
    crowd.use(0)
    crowd.use(3)
    rewrite(crowd, without_a_person(crowd))
    said = json.loads(crowd.bundle(0))
    said["entries"] = [one for one in said["entries"] if one[0] != 1]
    about = json.loads(crowd.ledger.leaf(1))["sub"].encode()
    nobody = base64.b64encode(hashlib.sha256(b"").digest())

    def change(directory: Path) -> None:
        file = bundles(directory)
        data = file.read_bytes()
        assert data.count(about) == 1
        file.write_bytes(data.replace(about, nobody))

    exchanged(crowd, monkeypatch, change)
    error = raised(lambda: audit(crowd, spell(said)))
    assert error.message == "it was exchanged while it was checked"
    assert error.where.startswith("tile/entries/")


def test_tiles_and_a_head_that_are_exchanged_after_the_check_are_found(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    live(crowd)
    crowd.close()

    def tile(directory: Path) -> None:
        (file,) = [one for one in (directory / "tile/0").rglob("*") if one.is_file()]
        data = file.read_bytes()
        file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))

    def head(directory: Path) -> None:
        (directory / "checkpoint").write_bytes(cut)

    lines = (crowd.desk.directory / "checkpoint").read_bytes().split(b"\n")
    cut = b"\n".join([lines[0], b"1", *lines[2:]])
    for change, where in ((tile, "tile/"), (head, "checkpoint")):
        with monkeypatch.context() as patch:
            kept = published(crowd.desk.directory)
            exchanged(crowd, patch, change)
            assert raised(lambda: audit(crowd)).where == where
        for path, data in kept.items():
            path.write_bytes(data)
    assert audit(crowd).entries == 3


def test_a_log_that_grows_while_it_is_audited_is_no_forgery(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Partial files may be gone by then; what was checked lies in those that took their place."""
    live(crowd)
    crowd.close()
    data, head = crowd.bundle(0), crowd.desk.head

    def grow(_directory: Path) -> None:
        crowd.ledger.append([entry() for _ in range(300)])
        crowd.ledger.publish()

    exchanged(crowd, monkeypatch, grow)
    report = verify_index(crowd.desk.directory, crowd.desk.policy, data, heads=[head])
    assert report.entries == 3


def published(directory: Path) -> dict[Path, bytes]:
    """Return the published files."""
    files = [directory / "checkpoint", *(directory / "tile").rglob("*")]
    return {one: one.read_bytes() for one in files if one.is_file()}


# -- the auditor's key -----------------------------------------------------------------------------


def test_a_bundle_opens_for_its_auditor_alone(crowd: Crowd) -> None:
    live(crowd)
    crowd.close()
    opening = base64.b64decode(AUDITOR.public.splitlines()[1])
    sealed = seal_bundle(crowd.bundle(0), opening)
    assert AUDITOR.open(sealed) == crowd.bundle(0)
    raised(lambda: Auditor("dpo.example", b"j" * 32).open(sealed))
    raised(lambda: AUDITOR.open(sealed[:-1] + bytes([sealed[-1] ^ 1])))


def test_a_statement_is_about_one_index_and_of_one_auditor(crowd: Crowd) -> None:
    live(crowd)
    crowd.close()
    crowd.use(5)
    crowd.close()
    one, two = audit(crowd), audit(crowd, epoch=1)
    note, vkey = AUDITOR.sign(one), AUDITOR.public.splitlines()[0]
    check_statement(note, one, vkey)
    raised(lambda: check_statement(note, two, vkey))
    other = Auditor("dpo.example", b"j" * 32).public.splitlines()[0]
    raised(lambda: check_statement(note, one, other))
    for at in range(len(note)):
        changed = note[:at] + bytes([note[at] ^ 1]) + note[at + 1 :]
        raised(lambda changed=changed: check_statement(changed, one, vkey))


def raised(act: Callable[[], Any]) -> VerificationError:
    with pytest.raises(VerificationError) as caught:
        act()
    return caught.value


# -- the story of the epochs -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "facts",
    [
        {"state": "begin", "epoch": 1},
        {"state": "begin", "epoch": 4},
        {"state": "root", "epoch": 0, "first": 0, "stop": 4, "root": "AAAA", "ref": 4},
        {"state": "root", "epoch": 1, "first": 0, "stop": 7, "root": "AAAA", "ref": 7},
        {"state": "root", "epoch": 1, "first": 4, "stop": 7, "root": "AAAA", "ref": 4},
        {"state": "root", "epoch": 2, "first": 7, "stop": 8, "root": "AAAA", "ref": 7},
        {"state": "end"},
    ],
)
def test_a_log_in_which_epochs_do_not_follow_is_refused(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch, facts: dict[str, Any]
) -> None:
    """A second root of an epoch could be shown to whom it suits; the verifier of a log sees both."""
    live(crowd)
    crowd.close()
    crowd.use(5)
    begin = entry(kind="index.epoch", public={"state": "begin", "epoch": 2})
    assert crowd.ledger.append([begin])[0].index == 7
    crowd.ledger.publish()
    crowd.verify_log()
    monkeypatch.setattr(Epochs, "note", lambda *_: None)  # a sequencer that does not care
    ref = facts.pop("ref", None)
    crowd.ledger.append([entry(kind="index.epoch", public=facts, ref=ref)])
    crowd.ledger.publish()
    assert raised(crowd.verify_log).where.endswith("leaf 8")
