"""A false package is refused, however it was made false; a true one holds nothing of anybody else."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.crowd import Crowd
from tests.ledger_desk import ORIGIN, entry

from safehold.ledger import policy_text
from safehold.ledger.audit import seal_bundle
from safehold.ledger.index import IndexTree
from safehold.ledger.shelf import Row
from safehold.ledger.subjects import epoch_key, item_of, label_of, tag_of
from safehold_verify import (
    Auditor,
    IndexReport,
    VerificationError,
    main,
    parse_policy,
    verify_index,
    verify_receipt,
)
from safehold_verify.notes import COSIGNATURE, ED25519
from safehold_verify.package import verify_package
from safehold_verify.words import in_words

Said = dict[str, Any]


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Crowd:
    """Three epochs: she (0) is in the first with two entries, in the second not, in the third with one."""
    crowd = Crowd(tmp_path_factory.mktemp("crowd"), people=9)
    crowd.use(0, 1, 2)
    crowd.use(0)
    crowd.use(3, 4)
    crowd.close()
    crowd.use(*range(1, 8))
    crowd.close()
    crowd.use(0, 5)
    crowd.close()
    crowd.use(0)
    crowd.ledger.publish()
    return crowd


@pytest.fixture
def hers(crowd: Crowd) -> Said:
    return json.loads((crowd.package(0) / "package.json").read_bytes())


def spell(said: Any) -> bytes:
    return json.dumps(said, sort_keys=True, separators=(",", ":")).encode()


def check(crowd: Crowd, said: Said | bytes, tmp_path: Path, **more: Any) -> Any:
    file = tmp_path / "package.json"
    file.write_bytes(said if isinstance(said, bytes) else spell(said))
    return verify_package(file, crowd.desk.policy, **more)


def refused(crowd: Crowd, said: Said | bytes, tmp_path: Path, **more: Any) -> VerificationError:
    with pytest.raises(VerificationError) as caught:
        check(crowd, said, tmp_path, **more)
    return caught.value


def test_a_true_package_says_what_happened(crowd: Crowd, hers: Said, tmp_path: Path) -> None:
    report = check(crowd, hers, tmp_path)
    assert [(span.first, span.stop, span.count) for span in report.spans] == [
        (0, 3, 2),
        (3, 6, 0),
        (6, 9, 1),
    ]
    assert [use.index for use in report.uses] == [0, 1, 8]
    assert {use.purpose for use in report.uses} == {"train"}
    assert "act" not in report.uses[0].told
    assert (report.covered, report.size) == (9, 12)


# -- made false ------------------------------------------------------------------------------------


def dropped(said: Said) -> None:
    """One entry less."""
    del said["epochs"][0]["entries"][0]


def dropped_last(said: Said) -> None:
    del said["epochs"][0]["entries"][-1]


def emptied(said: Said) -> None:
    said["epochs"][2]["entries"] = []


def doubled(said: Said) -> None:
    said["epochs"][0]["entries"].append(said["epochs"][0]["entries"][-1])


def swapped(said: Said) -> None:
    """The opening of one entry under the other."""
    one, two = said["epochs"][0]["entries"]
    one["told"], two["told"] = two["told"], one["told"]


def swapped_leaf(said: Said) -> None:
    one, two = said["epochs"][0]["entries"]
    for name in ("index", "leaf", "path"):
        one[name], two[name] = two[name], one[name]


def reordered(said: Said) -> None:
    said["epochs"][0]["entries"].reverse()


def gap(said: Said) -> None:
    """An epoch left out."""
    del said["epochs"][1]


def first_left_out(said: Said) -> None:
    del said["epochs"][0]


def mixed(said: Said) -> None:
    """The keys and lists of one epoch under the range of another."""
    one, two = said["epochs"][0], said["epochs"][2]
    for name in ("next", "root"):
        one[name], two[name] = two[name], one[name]


def key_of_another_epoch(said: Said) -> None:
    said["epochs"][0]["key"] = said["epochs"][2]["key"]


def absent_after_all(said: Said) -> None:
    """The neighbours of another epoch's absence, where there was a use."""
    for name in ("entries", "path"):
        del said["epochs"][0][name]
    said["epochs"][0] |= {name: said["epochs"][1][name] for name in ("absent", "place")}


def other_kind(said: Said) -> None:
    """An entry of the log shown in place of the leaf that begins the next epoch."""
    said["epochs"][0]["next"] = {
        name: said["epochs"][0]["entries"][0][name] for name in ("index", "leaf", "path")
    }


def shifted(said: Said) -> None:
    said["epochs"][1]["place"] += 1


def told_of_nothing(said: Said) -> None:
    said["epochs"][0]["entries"][0]["told"]["ct"] = said["epochs"][0]["entries"][0]["told"]["obj"]


def more_words(said: Said) -> None:
    said["note"] = "all is well"


FORGERIES = [
    dropped, dropped_last, emptied, doubled, swapped, swapped_leaf, reordered, gap, first_left_out, mixed,
    key_of_another_epoch, absent_after_all, other_kind, shifted, told_of_nothing, more_words,
]  # fmt: skip


@pytest.mark.parametrize("forge", FORGERIES, ids=lambda one: one.__name__)
def test_a_false_package_is_refused(
    crowd: Crowd, hers: Said, tmp_path: Path, forge: Callable[[Said], None]
) -> None:
    forge(hers)
    refused(crowd, hers, tmp_path)


def test_a_false_count_is_refused(tmp_path: Path) -> None:
    """A tree whose root is in the log, but whose row says one entry more than can be shown."""
    false = Crowd(tmp_path, people=3)
    false.use(0, 1)
    key = epoch_key(false.keys[0], 0)
    real = false.index._rows
    false.index._rows = lambda epoch: [
        Row(row.label, hashlib.sha256(row.value).digest(), row.sealed) for row in real(epoch)
    ]
    false.close()
    false.index._rows = real
    tree, rows = _rows_of(false, key)
    false.index.tree = lambda _epoch: (tree, rows)
    error = refused(false, (false.package(0) / "package.json").read_bytes(), tmp_path)
    assert error.where == "epoch 0"
    false.ledger.close()


def _rows_of(crowd: Crowd, key: bytes) -> tuple[IndexTree, dict[bytes, Row]]:
    """The tree that is in the log, with a row that opens."""
    stored = {row.label: row for row in crowd.index._shelf.get(0)}
    tree = IndexTree(((row.label, row.value) for row in stored.values()), seed=crowd.index.seed(0))
    return tree, stored | {label_of(key): Row.of(key, stored[label_of(key)].value, [0])}


def test_neighbours_that_are_not_adjacent_show_no_absence(crowd: Crowd, tmp_path: Path) -> None:
    """She is in the tree, between the two rows shown as neighbours."""
    said = json.loads((crowd.package(5) / "package.json").read_bytes())
    tree, _ = crowd.index.tree(2)
    at, there = tree.find(label_of(epoch_key(crowd.keys[5], 2)))
    assert there
    epoch = said["epochs"][2]
    for name in ("entries", "path"):
        del epoch[name]

    def row(place: int) -> Said:
        return {
            "label": b64(tree.leaves[place][0]),
            "value": b64(tree.leaves[place][1]),
            "path": [b64(one) for one in tree.path(place)],
        }

    for low, high, place in ((at - 1, at + 1, at - 1), (at - 1, at, at - 1), (at, at + 1, at)):
        said["epochs"][2] = epoch | {"absent": [row(low), row(high)], "place": place}
        refused(crowd, said, tmp_path)


def test_an_entry_of_another_person_is_refused(crowd: Crowd, hers: Said, tmp_path: Path) -> None:
    theirs = json.loads((crowd.package(3) / "package.json").read_bytes())
    hers["epochs"][0]["entries"].append(theirs["epochs"][0]["entries"][0])
    assert refused(crowd, hers, tmp_path).where == "leaf 2"


def test_another_persons_package_does_not_fit_the_receipt(crowd: Crowd, tmp_path: Path) -> None:
    """Somebody's whose data nobody used would be the perfect lie."""
    receipt = crowd.receipt(0)
    idle = (crowd.package(8) / "package.json").read_bytes()
    assert not check(crowd, idle, tmp_path).uses
    assert refused(crowd, idle, tmp_path, receipt=receipt).where == "receipt"


def test_keys_of_two_people_do_not_make_one_package(
    crowd: Crowd, hers: Said, tmp_path: Path
) -> None:
    """Hers with the one bad epoch taken from an idle person: their keys have no common commitment."""
    idle = json.loads((crowd.package(8) / "package.json").read_bytes())
    hers["epochs"][0] = idle["epochs"][0]
    assert refused(crowd, hers, tmp_path).where == "epoch 0"


@pytest.mark.parametrize("change", [{"origin": "example.com/other"}, {"size": 10**6}, {"v": "x"}])
def test_a_receipt_of_another_log_is_refused(
    crowd: Crowd, hers: Said, tmp_path: Path, change: Said
) -> None:
    receipt = spell(json.loads(crowd.receipt(0)) | change)
    assert refused(crowd, hers, tmp_path, receipt=receipt).where == "receipt"


def test_a_package_of_another_log_is_refused(crowd: Crowd, tmp_path: Path) -> None:
    other = Crowd(tmp_path, people=2)
    other.use(0)
    other.close()
    other.package(0)
    policy = tmp_path / "theirs"
    policy.write_text(
        policy_text(crowd.desk.signer.vkey.text(), {"council": crowd.desk.witness.vkey}), "utf-8"
    )
    with pytest.raises(
        VerificationError
    ):  # the same log key, but not the witness that the policy wants
        verify_package(tmp_path / "package-0", policy)
    other.ledger.close()


def test_a_second_root_of_an_epoch_cannot_be_shown(crowd: Crowd, tmp_path: Path) -> None:
    """An ordinary entry whose facts look like a root is no root."""
    leaf = crowd.ledger.append([entry(kind="stop", public={"state": "root"})])[0].index
    crowd.ledger.publish()
    said = json.loads((crowd.package(0) / "package.json").read_bytes())
    said["epochs"][0]["root"] = {
        "index": leaf,
        "leaf": b64(crowd.ledger.leaf(leaf)),
        "path": [b64(one) for one in crowd.ledger.path(leaf, crowd.ledger.size)],
    }
    refused(crowd, said, tmp_path)


def test_true_is_no_number(tmp_path: Path) -> None:
    """Flags of 1 have one spelling; JSON's true is equal to 1 and is another."""
    small = Crowd(tmp_path, people=2)
    small.use(0, flags=1)
    small.close()
    said = json.loads((small.package(0) / "package.json").read_bytes())
    check(small, said, tmp_path)
    said["epochs"][0]["entries"][0]["flags"] = True
    refused(small, said, tmp_path)
    small.ledger.close()


def test_an_old_package_says_how_old_it_is(crowd: Crowd, hers: Said, tmp_path: Path) -> None:
    """Fewer epochs are a true package of earlier: what it covers, and until when, must be said."""
    whole = check(crowd, hers, tmp_path)
    assert set(whole.witnesses) == {name_of(crowd.desk.witness.vkey)}
    assert all(whole.witnesses.values())
    hers["epochs"].pop()
    short = check(crowd, hers, tmp_path)
    last = json.loads(crowd.ledger.leaf(short.covered))
    assert (short.covered, short.until) == (6, last["t"])
    for report in (whole, short):
        words = "\n".join(in_words(report))
        assert f"the first of them: {_utc(min(report.witnesses.values()) * 1000)}." in words
        assert f"Covered until {_utc(report.until)}" in words
    hers["epochs"].clear()
    none = check(crowd, hers, tmp_path)
    assert (none.covered, none.until) == (0, 0)
    assert not any(line.startswith("Leaves") for line in in_words(none))
    assert "No witness says how old it is." in [*in_words(replace(none, witnesses={}))]


def test_no_entry_stops_the_words(crowd: Crowd, hers: Said, tmp_path: Path) -> None:
    """Whoever writes leaves chooses time and detail; neither may keep a person from their report."""
    report = check(crowd, hers, tmp_path)
    strange = replace(report.uses[0], time=10**16 - 1, told={"det": "[" * 200_000})
    words = "\n".join(in_words(replace(report, uses=(strange, *report.uses[1:]))))
    assert "9999999999999999 ms after 1970" in words


def _utc(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms // 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"


def name_of(vkey: str) -> str:
    return vkey.split("+", maxsplit=1)[0]


def test_a_receipt_is_checked_on_the_day_it_is_given(
    crowd: Crowd, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy, data = crowd.desk.policy, crowd.receipt(0)
    found = verify_receipt(data, policy)
    assert (found.origin, found.size) == (ORIGIN, crowd.ledger.size)
    assert found.commitment == check_package(crowd, 0).commitment
    said = json.loads(data)
    for change in (
        {"v": "safehold.receipt/2"},
        {"size": -1},
        {"size": True},
        {"size": "1"},
        {"commitment": said["commitment"][4:]},
        {"origin": "other.example/x/audit"},
        {"more": 1},
    ):
        with pytest.raises(VerificationError):
            verify_receipt(spell(said | change), policy)
    for at in range(len(data)):  # a name, a root or a size may be another's, and still be one
        try:
            other = verify_receipt(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :], policy)
        except VerificationError:
            continue
        assert other != found
    file = tmp_path / "receipt.json"
    file.write_bytes(data)
    assert main(["receipt", str(file), "--policy", str(policy)]) == 0
    assert f"commitment: {found.commitment}" in capsys.readouterr().out
    file.write_bytes(data + b"\n")
    assert main(["receipt", str(file), "--policy", str(policy)]) == 5


def check_package(crowd: Crowd, person: int) -> Any:
    return verify_package(crowd.package(person), crowd.desk.policy)


# -- an auditor's statement ------------------------------------------------------------------------

AUDITOR, OTHER = Auditor("dpo.example", b"k" * 32), Auditor("union.example", b"u" * 32)
KEY, OTHER_KEY = (one.public.splitlines()[0] for one in (AUDITOR, OTHER))


def audited(crowd: Crowd, epoch: int) -> IndexReport:
    return verify_index(
        crowd.desk.directory, crowd.desk.policy, crowd.bundle(epoch), heads=[crowd.desk.head]
    )


def test_a_statement_vouches_for_the_index_that_the_package_was_made_with(
    crowd: Crowd, hers: Said, tmp_path: Path
) -> None:
    reports = [audited(crowd, epoch) for epoch in range(3)]
    notes = [AUDITOR.sign(reports[0]), AUDITOR.sign(reports[1]), OTHER.sign(reports[1])]
    report = check(crowd, hers, tmp_path, statements=notes, auditors=[KEY, OTHER_KEY])
    assert [span.root for span in report.spans] == [one.root for one in reports]
    both = ("dpo.example", "union.example")
    assert [span.auditors for span in report.spans] == [("dpo.example",), both, ()]
    words = "\n".join(in_words(report))
    assert "Leaves 0 to 2: dpo.example computed everybody's lists again" in words
    assert "Leaves 3 to 5: dpo.example and union.example computed everybody's lists again" in words
    assert "that the lists of leaves 6 to 8 are complete" in words
    assert "whether dpo.example and union.example told the truth" in words
    # with one for every epoch nothing is left to ask for, and without any there is no praise
    notes = [AUDITOR.sign(one) for one in reports]
    words = "\n".join(in_words(check(crowd, hers, tmp_path, statements=notes, auditors=[KEY])))
    assert "Leaves 0 to 8: dpo.example computed" in words
    assert "ask for the auditor's statement" not in words
    words = "\n".join(in_words(check(crowd, hers, tmp_path)))
    assert "dpo.example" not in words
    assert "that the lists of leaves 0 to 8 are complete" in words


def test_a_statement_about_another_index_vouches_for_nothing(
    crowd: Crowd, hers: Said, tmp_path: Path
) -> None:
    """The root, the range or the epoch of another index, another log, another auditor, another note."""
    true = audited(crowd, 0)

    def told(note: bytes, *keys: str) -> str:
        return refused(crowd, hers, tmp_path, statements=[note], auditors=keys or [KEY]).message

    for change in ({"root": "77" * 32}, {"stop": 4}, {"first": 1}):
        said = told(AUDITOR.sign(replace(true, **change)))
        assert said == "the auditor found another index complete than the one used in epoch 0"
    assert "epoch 1" in told(AUDITOR.sign(replace(true, epoch=1)))
    assert "an epoch that is not in" in told(AUDITOR.sign(replace(true, epoch=7)))
    assert told(AUDITOR.sign(replace(true, origin="other.example/x/audit"))) == (
        "it is about another log"
    )
    assert told(AUDITOR.sign(true), OTHER_KEY) == "no known key has signed"
    assert told(base64.b64decode(hers["checkpoint"]), KEY) == "no known key has signed"
    note = AUDITOR.sign(true)
    for at in range(len(note)):
        told(note[:at] + bytes([note[at] ^ 1]) + note[at + 1 :])


def test_a_note_of_an_auditor_that_says_something_else_is_no_statement(
    crowd: Crowd, hers: Said, tmp_path: Path
) -> None:
    text = b"safehold.index-complete/2\nlog\n0 0 3\nroot\n"
    signature = AUDITOR._signing().sign(text)
    line = base64.b64encode(AUDITOR.vkey.key_id + signature).decode()
    note = text + f"\n\N{EM DASH} dpo.example {line}\n".encode()
    error = refused(crowd, hers, tmp_path, statements=[note], auditors=[KEY])
    assert error.message == "not an auditor's statement"


def test_whoever_runs_the_log_is_not_its_auditor(crowd: Crowd, hers: Said, tmp_path: Path) -> None:
    policy = parse_policy(crowd.desk.policy.read_bytes())
    keys = [replace(key, name="dpo.example") for key in (*policy.logs, *policy.witnesses.values())]
    for key in keys:
        raw = base64.b64encode(bytes([key.algorithm]) + key.key).decode()
        error = refused(crowd, hers, tmp_path, auditors=[f"{key.name}+{key.key_id.hex()}+{raw}"])
        own = key.algorithm == ED25519
        assert error.message == (
            "the log's own key is no auditor's" if own else "not an auditor's key"
        )
    assert {key.algorithm for key in keys} >= {ED25519, COSIGNATURE}


def test_an_employee_checks_a_statement_by_command(
    crowd: Crowd, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the auditor's key to the employee's answer, each by the command that they would type."""
    folder, policy, where = crowd.package(0), str(crowd.desk.policy), tmp_path
    key, public = str(where / "key"), str(where / "public")
    said = ["--name", "dpo.example", "--key", key]
    assert main(["auditor", *said, "--public", public]) == 0
    vkey, opening = Path(public).read_text().splitlines()
    sealed, note = where / "bundle", where / "complete.note"
    sealed.write_bytes(seal_bundle(crowd.bundle(0), base64.b64decode(opening)))
    ask = ["--policy", policy, "--bundle", str(sealed), *said, "--statement", str(note)]
    assert main(["index", str(crowd.desk.directory), *ask]) == 0
    capsys.readouterr()

    check = ["package", str(folder), "--policy", policy]
    assert main([*check, "--statement", str(note), "--auditor", vkey]) == 0
    assert "Leaves 0 to 2: dpo.example computed" in capsys.readouterr().out
    assert main([*check, "--statement", str(note), "--auditor", vkey, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [span["auditors"] for span in told["spans"]] == [["dpo.example"], [], []]
    assert main([*check, "--statement", str(note), "--auditor", public]) == 0
    assert "Leaves 0 to 2: dpo.example computed" in capsys.readouterr().out
    assert main([*check, "--statement", str(note), "--auditor", str(where / "none")]) == 5
    assert main([*check, "--statement", str(note), "--auditor", OTHER_KEY]) == 5
    assert "statement 1 (note): no known key has signed" in capsys.readouterr().err
    for alone in (["--statement", str(note)], ["--auditor", vkey]):
        with pytest.raises(SystemExit) as caught:
            main([*check, *alone])
        assert caught.value.code == 2


# -- every byte ------------------------------------------------------------------------------------


def test_every_byte_of_a_package_counts(tmp_path: Path) -> None:
    """One bit of each byte in turn, which bit being chosen by place; then every byte cut off."""
    small = Crowd(tmp_path, people=3)
    small.use(0, 1, 2)
    small.close()
    small.use(1)
    small.close()
    data = (small.package(0) / "package.json").read_bytes()
    report = check(small, data, tmp_path)
    assert [span.count for span in report.spans] == [1, 0]
    passed = []
    for at in range(len(data)):
        changed = bytearray(data)
        changed[at] ^= 1 << at % 8
        try:
            check(small, bytes(changed), tmp_path)
        except VerificationError:
            continue
        passed.append(at)
    assert not passed
    for cut in range(0, len(data), 97):
        refused(small, data[:cut], tmp_path)
    refused(small, data + b"\n", tmp_path)
    small.ledger.close()


# -- nothing of others -----------------------------------------------------------------------------


@pytest.mark.parametrize("person", range(9))
def test_a_package_holds_nothing_of_others(crowd: Crowd, person: int) -> None:
    """But for the two labels of a proof of absence, which are used in one epoch and lead nowhere."""
    data = (crowd.package(person) / "package.json").read_bytes()
    said = json.loads(data)
    neighbours = {one["label"] for epoch in said["epochs"] for one in epoch.get("absent", ())}
    texts = _strings(said)
    nonces = [
        (index, crowd.ledger.opening(index).people.nonce)
        for index, _ in crowd.ledger.leaves()
        if crowd.ledger.opening(index).people.items
    ]
    found = set()
    for other, key in enumerate(crowd.keys):
        if other == person:
            continue
        for epoch in range(4):
            own = epoch_key(key, epoch)
            numbers = [key, own, label_of(own)]
            for _, nonce in nonces:
                numbers += [tag_of(own, nonce), item_of(own, nonce)]
            for number in numbers:
                for text in (b64(number), number.hex()):
                    if text in texts or text.encode() in data:
                        found.add(text)
    assert found <= neighbours
    assert len(neighbours) <= 2 * len(said["epochs"])
    assert b64(crowd.keys[person]) not in texts, (
        "not even their own key, only those of closed epochs"
    )
    pads = [crowd.ledger.opening(index).people.pad for index, _ in nonces]
    assert not any(b64(pad) in texts for pad in pads)


def _strings(said: Any) -> set[str]:
    if isinstance(said, dict):
        return {text for one in said.values() for text in _strings(one)}
    if isinstance(said, list):
        return {text for one in said for text in _strings(one)}
    return {said} if isinstance(said, str) else set()


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
