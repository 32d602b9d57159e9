"""An auditor's statement about the index that a package was made with."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.crowd import Crowd
from tests.package_desk import Said, check, refused, said_by, three_epochs

from safehold.ledger.audit import seal_bundle
from safehold_verify import (
    Auditor,
    IndexReport,
    main,
    parse_policy,
    verify_index,
)
from safehold_verify.notes import COSIGNATURE, ED25519
from safehold_verify.words import in_words


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Crowd:
    return three_epochs(tmp_path_factory.mktemp("crowd"))


@pytest.fixture
def hers(crowd: Crowd) -> Said:
    return said_by(crowd)


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
