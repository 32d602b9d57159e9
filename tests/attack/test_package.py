"""A false package is refused, however it was made false; a true one holds nothing of anybody else."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.crowd import Crowd
from tests.ledger_desk import ORIGIN, entry
from tests.package_desk import Said, b64, check, refused, said_by, spell, three_epochs

from safehold.ledger import policy_text
from safehold.ledger.subjects import epoch_key, item_of, label_of, tag_of
from safehold_verify import (
    VerificationError,
    main,
    verify_receipt,
)
from safehold_verify.package import verify_package
from safehold_verify.words import in_words


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Crowd:
    return three_epochs(tmp_path_factory.mktemp("crowd"))


@pytest.fixture
def hers(crowd: Crowd) -> Said:
    return said_by(crowd)


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
