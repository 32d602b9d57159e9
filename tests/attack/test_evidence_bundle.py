"""Somebody between the keeper and the auditor changes a bundle; and a keeper that lies builds one."""

from __future__ import annotations

import json
import warnings
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests import evidence_desk as desk
from tests.evidence_desk import begin, build, held, log
from tests.keeper_desk import Bench, copy_bench, found_bench
from tests.model_desk import canary

from safehold import canonical
from safehold.app.evidence import bundle as building
from safehold.app.evidence.archive import pack, unpack
from safehold.assurance.control import NOT_SATISFIED, SATISFIED, Shown, Verdict
from safehold.canonical import b64
from safehold_verify import VerificationError, verify_evidence
from safehold_verify.evidence import tell_evidence, verify_files
from safehold_verify.policy import load_policy

Files = dict[str, bytes]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return desk.sound(tmp_path_factory.mktemp("sound"))


@pytest.fixture(scope="module")
def honest(made: Bench, tmp_path_factory: pytest.TempPathFactory) -> tuple[Files, Path]:
    """A bundle that holds, and the policy by which it does."""
    bench = begin(copy_bench(made, tmp_path_factory.mktemp("honest")))
    files = build(bench)
    bench.stop()
    return files, bench.home.policy_file


@pytest.fixture
def liar(made: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A keeper that lies."""
    bench = begin(copy_bench(made, tmp_path))
    monkeypatch.setattr(building, "installed", lambda: False)  # setting a PDF takes a second
    monkeypatch.setattr(building, "measure_all", lambda _verbs: [])  # everything was measured today
    yield bench
    bench.stop()


def write(files: Files, path: Path) -> Path:
    folder = path / "bundle"
    unpack(pack(files), folder)
    return folder


def refuse(files: Files, policy: Path, message: str, **more: Any) -> VerificationError:
    with pytest.raises(VerificationError) as caught:
        verify_files(files, load_policy(policy), **more)
    assert message in str(caught.value)
    return caught.value


def test_an_honest_bundle_holds_as_folder_and_as_archive(
    honest: tuple[Files, Path], tmp_path: Path
) -> None:
    files, policy = honest
    report = verify_evidence(write(files, tmp_path), policy)
    archive = tmp_path / "bundle.zip"
    archive.write_bytes(pack(files))
    assert verify_evidence(archive, policy) == report
    assert report.whole
    assert report.charter == 1
    assert len(report.signed) == 6
    assert report.proofs > 40
    assert len(report.heads) > 2
    assert set(report.unsatisfied) >= {"gdpr-cnil-2024-021"}
    claims = json.loads(files["claims.json"])
    assert report.counts == claims["counts"]
    assert len(report.limits) >= 4
    told = "\n".join(tell_evidence(report))
    assert "Root in a running process sees its own segment." in told
    assert "NOT satisfied: gdpr-cnil-2024-021" in told


def test_the_same_files_make_the_same_archive(honest: tuple[Files, Path]) -> None:
    files, _ = honest
    again = dict(reversed(list(files.items())))
    assert pack(files) == pack(again)


def test_every_file_counts(honest: tuple[Files, Path]) -> None:
    """One byte more, one byte less, another byte: in any file the bundle no longer holds."""
    files, policy = honest[0], load_policy(honest[1])
    kinds: dict[str, str] = {}
    for name in files:  # of many alike, two
        kinds.setdefault(f"{name.split('/')[0]}.{name.rsplit('.', 1)[-1]}", name)
    assert len(kinds) > 15
    for name in sorted(kinds.values()):
        data = files[name]
        flipped = data[:-2] + bytes((data[-2] ^ 1,)) + data[-1:]
        for other in (data + b"\n", data[:-1], flipped):
            with pytest.raises(VerificationError):
                verify_files(files | {name: other}, policy)
        less = {one: held for one, held in files.items() if one != name}
        with pytest.raises(VerificationError):
            verify_files(less, policy)


@pytest.mark.parametrize(
    "name", ["extra.txt", "proofs/9999999999.leaf", "heads/9999999999.head", "seal/more"]
)
def test_an_added_file_is_refused(honest: tuple[Files, Path], tmp_path: Path, name: str) -> None:
    files, policy = honest
    refuse(files | {name: b"x"}, policy, "a file that the manifest does not name")


def test_a_link_or_a_hidden_file_is_refused(honest: tuple[Files, Path], tmp_path: Path) -> None:
    files, policy = honest
    folder = write(files, tmp_path)
    (folder / "README.txt").unlink()
    (folder / "README.txt").symlink_to("/etc/hostname")
    with pytest.raises(VerificationError, match="not a regular file"):
        verify_evidence(folder, policy)
    (folder / "README.txt").unlink()
    (folder / "README.txt").write_bytes(files["README.txt"])
    (folder / ".hidden").write_text("x")
    with pytest.raises(VerificationError, match="not a name"):
        verify_evidence(folder, policy)


def test_an_archive_with_a_name_twice_or_leading_out_is_refused(
    honest: tuple[Files, Path], tmp_path: Path
) -> None:
    files, policy = honest
    for number, name in enumerate(("README.txt", "../out.txt", "/etc/out")):
        place = tmp_path / f"{number}.zip"
        place.write_bytes(pack(files))
        with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(place, "a") as one:
            one.writestr(name, files["README.txt"])
        with pytest.raises(VerificationError):
            verify_evidence(place, policy)
    place = tmp_path / "none.zip"
    place.write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(VerificationError, match="neither a folder nor an archive"):
        verify_evidence(place, policy)


def test_the_word_of_another_policy_does_not_count(
    honest: tuple[Files, Path], tmp_path: Path
) -> None:
    files, _ = honest
    other = found_bench(tmp_path / "other")
    with pytest.raises(VerificationError):
        verify_files(files, load_policy(other.home.policy_file))


def test_the_seal_of_an_older_bundle_does_not_seal_a_newer_one(liar: Bench, tmp_path: Path) -> None:
    old, new = build(liar), build(liar)
    assert verify_files(new, load_policy(liar.home.policy_file))
    mixed = new | {name: data for name, data in old.items() if name.startswith("seal/")}
    refuse(mixed, liar.home.policy_file, "not the manifest that the log names")


def test_a_head_kept_elsewhere_shows_that_a_bundle_was_cut_short(
    liar: Bench, tmp_path: Path
) -> None:
    files = build(liar)
    log(liar, "refusal")
    liar.desk.ledger.publish()
    newer = liar.desk.ledger.head()
    policy = liar.home.policy_file
    refuse(files, policy, "it was cut short", heads=(newer,))
    first = min(name for name in files if name.endswith(".head"))
    assert verify_files(files, load_policy(policy), heads=(files[first],))


# -- a keeper that lies: what it seals is sealed rightly, and says what is not so -----------------


def say(bench: Bench, monkeypatch: pytest.MonkeyPatch, **said: Callable[[Verdict], Verdict]) -> Files:  # fmt: skip
    """Build a bundle whose keeper changes what some probes say."""
    real = building.judge

    def lying(facts: Any) -> dict[str, Verdict]:
        found = real(facts)
        for name, change in said.items():
            key = name.replace("__", ".")
            found[key] = change(found[key])
        return found

    monkeypatch.setattr(building, "judge", lying)
    return build(bench)


def gilded(verdict: Verdict) -> Verdict:
    return replace(verdict, state=SATISFIED, reason="All is well.")


def test_a_broken_drill_that_is_claimed_to_have_held_is_refused(
    liar: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held(liar, "S02", state="broken")
    files = say(liar, monkeypatch, drill__S02=gilded)
    refuse(files, liar.home.policy_file, "says the opposite")


def test_an_older_green_drill_does_not_stand_for_the_newest(
    liar: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    green = next(
        index for index, leaf in liar.desk.ledger.leaves()
        if leaf["k"] == "drill" and leaf["pub"]["scenario"] == "S02"
    )  # fmt: skip
    held(liar, "S02", state="broken")

    def older(verdict: Verdict) -> Verdict:
        facts = {"scenario": "S02", "of": "deployment", "state": "held"}
        shown = Shown(leaf=green, kind="drill", facts=facts, newest=("scenario", "of", "level"))
        return replace(gilded(verdict), shown=(shown,))

    files = say(liar, monkeypatch, drill__S02=older)
    refuse(files, liar.home.policy_file, "is newer than entry")


def test_a_leaf_that_says_something_else_is_refused(
    liar: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other(verdict: Verdict) -> Verdict:
        (shown,) = verdict.shown
        return replace(verdict, shown=(replace(shown, facts=shown.facts | {"micro": 7}),))

    files = say(liar, monkeypatch, **{"promise__stop.p100_seconds".replace(".", "__"): other})
    refuse(files, liar.home.policy_file, "says otherwise")


def test_a_notice_that_came_late_cannot_be_claimed_to_have_come_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = found_bench(tmp_path).start()
    bench.take("ana", "bo", "cy")
    bench.call("document.publish", name="notice")
    plain = gilded
    files = say(bench, monkeypatch, notice__first=plain)
    error = refuse(files, bench.home.policy_file, "telemetry came first")
    assert "notice.first" in error.where
    bench.stop()


def test_charges_beyond_the_charter_cannot_be_claimed_to_be_within_it(
    liar: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    intent = log(
        liar, "access.intent", purpose="train_ui_agent", epsilon_micro=9_000_000, delta_e12=1, unit="person",
    )  # fmt: skip
    log(liar, "access.result", intent, outcome="ok", rows=0)
    files = say(liar, monkeypatch, privacy__budget=gilded)
    refuse(files, liar.home.policy_file, "exceed the charter")


def test_uses_without_a_result_cannot_be_claimed_to_have_one(
    liar: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log(liar, "access.intent", purpose="train_ui_agent")
    liar.clock.at_us += 7_200_000_000
    files = say(liar, monkeypatch, access__results=gilded)
    refuse(files, liar.home.policy_file, "a use has no result")


def test_drift_cannot_be_claimed_to_be_clear(
    liar: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = canonical.decode(liar.home.charter_file.read_bytes())
    tree["charter"]["collect"][0]["keep_days"] += 1
    liar.home.charter_file.write_bytes(canonical.encode(tree))
    liar.desk.trust.charter()
    files = say(liar, monkeypatch, charter__drift=lambda one: replace(gilded(one), shown=()))
    refuse(files, liar.home.policy_file, "the record says that it drifts")


def test_a_row_cannot_stand_better_than_its_probes(
    liar: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = building.stand

    def lying(*arguments: Any) -> Any:
        return [
            replace(one, state=SATISFIED) if one.state == NOT_SATISFIED else one
            for one in real(*arguments)
        ]

    monkeypatch.setattr(building, "stand", lying)
    refuse(build(liar), liar.home.policy_file, "it stands otherwise than its probes say")


def test_oscal_cannot_say_more_than_the_claims(
    liar: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = building.oscal.write

    def lying(said: Any) -> Any:
        found = real(said)
        for one in found["assessment-results"]["assessment-results"]["results"][0]["findings"]:
            one["target"]["status"] = {"state": "satisfied"}
        return found

    monkeypatch.setattr(building.oscal, "write", lying)
    refuse(build(liar), liar.home.policy_file, "it says otherwise than the claims")


def test_the_entry_that_seals_counts_what_the_claims_count(
    liar: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = building.claim

    def lying(*arguments: Any) -> Any:
        said = real(*arguments)
        said["counts"]["gdpr"] = {"satisfied": 26, "not-satisfied": 0, "not-measured": 0}
        return said

    monkeypatch.setattr(building, "claim", lying)
    refuse(build(liar), liar.home.policy_file, "the counts are not those of the rows")


def test_another_charter_or_an_unsigned_one_is_refused(
    liar: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = building.Bundle._papers

    def shown(change: Callable[[dict[str, Any]], object]) -> Files:
        def lying(one: Any) -> Files:
            files = real(one)
            tree = json.loads(files["charter.json"])
            change(tree)
            return files | {"charter.json": canonical.encode(tree)}

        with monkeypatch.context() as patch:
            patch.setattr(building.Bundle, "_papers", lying)
            return build(liar)

    policy = liar.home.policy_file
    other = shown(lambda tree: tree["charter"].update(version=7))
    refuse(other, policy, "not the charter that is claimed")
    bare = shown(lambda tree: tree.update(signatures=[]))
    refuse(bare, policy, "no seat of the board has signed it")
    forged = shown(
        lambda tree: tree.update(signatures=[{"seat": "privacy", "value": b64(bytes(64))}])
    )
    refuse(forged, policy, "no seat of the board has signed it")


def test_a_published_text_is_the_one_that_the_record_names(
    liar: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = building.Bundle._papers
    monkeypatch.setattr(
        building.Bundle, "_papers", lambda one: real(one) | {"documents/notice.md": b"Trust us.\n"}
    )
    refuse(build(liar), liar.home.policy_file, "not the text that was published")


@pytest.mark.parametrize("cut", ["newest", "first", "middle"])
def test_a_chain_that_lacks_a_link_is_refused(
    liar: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: str
) -> None:
    real = building.write_chain

    def lying(ledger: Any, some: list[tuple[int, bytes]]) -> Files:
        files = real(ledger, some)
        tree = json.loads(files["heads/chain.json"])
        at = {"newest": len(some) - 1, "first": 0, "middle": len(some) // 2}[cut]
        gone = tree["heads"].pop(at)
        del files[f"heads/{gone['file']}"]
        return files | {"heads/chain.json": canonical.encode(tree)}

    monkeypatch.setattr(building, "write_chain", lying)
    with pytest.raises(VerificationError):
        verify_files(build(liar), load_policy(liar.home.policy_file))


@pytest.mark.parametrize("name", ["size", "root", "origin", "read"])
def test_claims_are_about_the_newest_head(
    liar: Bench, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    real = building.claim

    def lying(*arguments: Any) -> Any:
        said = real(*arguments)
        return said | {name: said[name] - 1 if isinstance(said.get(name), int) else "other"}

    if name == "read":  # more entries than the head has
        shown = building.lay_out

        def longer(said: Any, *more: Any) -> Any:
            said["read"] = said["size"] + 1
            return shown(said, *more)

        monkeypatch.setattr(building, "lay_out", longer)
        refuse(build(liar), liar.home.policy_file, "about more entries than there are")
        return
    monkeypatch.setattr(building, "claim", lying)
    refuse(build(liar), liar.home.policy_file, "about another head than the newest")


def test_a_proof_against_an_older_head_or_of_another_leaf_is_refused(
    liar: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = building.prove_all
    policy = liar.home.policy_file

    def older(ledger: Any, indices: Any, note: bytes) -> Any:
        (size, head) = ledger.published(40)
        few = [one for one in indices if one < size]
        yield from real(ledger, few, head)

    def other(ledger: Any, indices: Any, note: bytes) -> Any:
        for name, leaf, proof in real(ledger, indices, note):
            yield name, leaf.replace(b'"state":"held"', b'"state":"kept"'), proof

    def renamed(ledger: Any, indices: Any, note: bytes) -> Any:
        for name, leaf, proof in real(ledger, indices, note):
            yield f"{int(name) + 1000:010}", leaf, proof

    for lying, message in (
        (older, "a proof against another head"),
        (other, "the inclusion proof does not hold"),
        (renamed, "the proof of another entry than its name says"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(building, "prove_all", lying)
            refuse(build(liar), policy, message)


def test_a_head_of_another_size_than_the_chain_says_is_refused(
    liar: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = building.write_chain

    def lying(ledger: Any, some: list[tuple[int, bytes]]) -> Files:
        files = real(ledger, some)
        tree = json.loads(files["heads/chain.json"])
        tree["heads"][1]["size"] += 1
        return files | {"heads/chain.json": canonical.encode(tree)}

    monkeypatch.setattr(building, "write_chain", lying)
    refuse(build(liar), liar.home.policy_file, "a head of another size than the chain says")


def test_the_board_is_the_one_that_the_record_names(
    liar: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = building.Bundle._papers

    def lying(one: Any) -> Files:
        files = real(one)
        rosters = json.loads(files["roster.json"])
        rosters[-1]["expires_s"] += 1
        return files | {"roster.json": canonical.encode(rosters)}

    monkeypatch.setattr(building.Bundle, "_papers", lying)
    refuse(build(liar), liar.home.policy_file, "not the one that the record named last")


def test_a_record_that_leaves_an_entry_out_is_refused(
    liar: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held(liar, "S02", state="broken")
    real = type(liar.desk.ledger).stored

    def lying(ledger: Any, stop: int) -> Iterator[bytes]:
        yield from (leaf for leaf in real(ledger, stop) if b'"broken"' not in leaf)

    monkeypatch.setattr(type(liar.desk.ledger), "stored", lying)
    refuse(build(liar), liar.home.policy_file, "not all entries of the head")


def test_a_model_that_lies_in_quarantine_spoils_no_honest_bundle(liar: Bench) -> None:
    ((model, _),) = liar.verbs.models.names()
    canary(liar, model, exposed=1, deepest=14_000)
    files = build(liar)
    claims = json.loads(files["claims.json"])
    assert claims["probes"]["model.gates"]["state"] == SATISFIED
    assert verify_files(files, load_policy(liar.home.policy_file))


def test_a_long_record_is_not_in_the_bundle_and_the_bundle_says_so(
    liar: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "WHOLE", 10)
    files = build(liar)
    assert "leaves.jsonl" not in files
    report = verify_files(files, load_policy(liar.home.policy_file))
    assert not report.whole
    assert any("only those that the claims refer to" in one for one in report.limits)


def test_a_bundle_holds_nothing_of_anybody(made: Bench, honest: tuple[Files, Path]) -> None:
    files, _ = honest
    people = [f'"{name}"'.encode() for name in (*desk.CROWD, desk.ZOE)]
    ids = [str(person).encode() for person in begin(made).desk.people.everybody()]
    made.stop()
    for name, data in files.items():
        assert not any(one in data for one in (*people, *ids)), name


def test_without_its_witnesses_no_bundle_is_sealed(liar: Bench) -> None:
    liar.home.witness.rename(liar.home.witness.with_name("gone"))
    from safehold.errors import UnavailableError

    log(liar, "refusal")
    with pytest.raises(UnavailableError):
        build(liar)
