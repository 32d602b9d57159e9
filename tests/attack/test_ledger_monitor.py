"""A monitor that knows only the policy finds what an operator does to a log, and keeps the proof."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.forged_log import START_MS, ForgedLog, leaf, place

from safehold.errors import ConflictError, TamperedError, UnavailableError
from safehold.ledger import LogSigner
from safehold.ledger import monitor as monitoring
from safehold.ledger.monitor_memory import MemoryFolder
from safehold.ledger.published import PublishedDirectory
from safehold.ledger.tile import pack_entries, tile_path
from safehold.ledger.tree import HASH
from safehold_verify import VerificationError, parse_policy, verify_log

HOUR_US = 3_600_000_000


@pytest.fixture
def log(tmp_path: Path) -> ForgedLog:
    """An honest beginning: a home, a grant, a use of it with its result, published and watched."""
    log = ForgedLog(tmp_path)
    log.tell("home", synthetic=0)
    log.tell("grant", state="approved")
    log.tell("access.intent", ref=1, purpose="train")
    log.tell("access.result", ref=2, outcome="ok")
    log.publish()
    assert log.rules() == []
    return log


def test_an_honest_log_has_no_findings_and_a_turn_reads_only_what_is_new(log: ForgedLog) -> None:
    for _ in range(3):
        for _ in range(300):
            at = log.tell("access.intent", ref=1, purpose="train")
            log.tell("access.result", ref=at, outcome="ok")
        log.publish(30)
        verdict = log.watch()
        assert (verdict.exit_code, verdict.new) == (0, 600)
    assert verdict.read == verdict.size == 1804
    read: list[str] = []

    class Counting(PublishedDirectory):
        def read(self, name: str, limit: int) -> bytes:
            read.append(name)
            return super().read(name, limit)

    log.tell("ingest", rows=1, objects=1)
    log.publish()
    assert log.watch(Counting(log.directory)).new == 1
    assert len(read) < 12, read
    assert "tile/entries/000" not in read


@pytest.mark.parametrize("size", [255, 256, 257, 70_000])
def test_every_width_of_a_tree(tmp_path: Path, size: int) -> None:
    log = ForgedLog(tmp_path)
    one = leaf("ingest", START_MS, ref=None, pub={})
    log.leaves = [one] * size
    log.publish()
    assert (log.watch().read, log.watch().exit_code) == (size, 0)


# ---- the story


def test_a_back_dated_leaf(log: ForgedLog) -> None:
    log.clock.advance(HOUR_US)
    log.tell("ingest")
    log.publish()
    assert log.rules() == []
    bad = log.tell("ingest", at_ms=log.now_ms - 120_000)
    log.publish()
    assert ("story.backdated", bad) in log.rules()
    assert ("story.time", bad) in log.rules(), "and it goes back behind the leaf in front of it"


def test_a_whole_interval_that_is_back_dated(log: ForgedLog) -> None:
    """Nothing goes back within the log; only the cosignature before it tells."""
    log.clock.advance(HOUR_US)
    log.tell("ingest", at_ms=log.now_ms - HOUR_US // 1000)
    log.publish()
    assert log.rules() == []
    log.clock.advance(HOUR_US)
    bad = log.tell("ingest", at_ms=log.now_ms - HOUR_US // 1000 - 61_000)
    log.publish()
    assert log.rules() == [("story.backdated", bad)]


def test_a_leaf_from_after_its_head(log: ForgedLog) -> None:
    log.tell("ingest", at_ms=log.now_ms + 60_000)
    bad = log.tell("ingest", at_ms=log.now_ms + 70_000)
    log.publish()
    assert log.rules() == [("story.ahead", bad)]


def test_bounds_hold_for_heads_that_were_read_late(log: ForgedLog) -> None:
    """A head that was accepted, and whose leaves could not be read then, still bounds them."""
    log.clock.advance(HOUR_US)
    log.tell("ingest")
    bad = log.tell("ingest", at_ms=log.now_ms + 90_000)
    log.publish()
    hidden = log.directory / tile_path("entries", 0, 6)
    hidden.rename(log.path / "hidden")
    assert log.rules() == [("monitor.missing", -1)]
    log.clock.advance(HOUR_US)
    log.tell("ingest")
    log.publish()
    assert log.rules() == [("story.ahead", bad)]


def test_an_unpaired_intent(log: ForgedLog) -> None:
    at = log.tell("access.intent", purpose="train")
    log.publish()
    assert log.rules() == []
    log.clock.advance(25 * HOUR_US)
    assert log.rules() == [("story.unpaired", at)]
    assert log.rules(late_ms=26 * 3_600_000) == []
    other = log.tell("access.intent", at_ms=log.now_ms - 1)
    log.tell("access.result", ref=at, outcome="ok")
    log.publish()
    assert log.rules() == [("story.late", log.seen - 1)]
    assert verify_log(log.directory, parse_policy(log.policy.encode())).size == log.seen
    log.clock.advance(72 * HOUR_US)
    log.tell("access.result", ref=other, outcome="lost")
    log.publish()
    assert log.rules() == [("story.late", other + 1)], "a keeper that comes back late is not late"


def test_two_results_a_result_of_nothing_and_an_unknown_outcome(log: ForgedLog) -> None:
    second = log.tell("access.result", ref=2, outcome="ok")
    stray = log.tell("access.result", ref=0, outcome="ok")
    bare = log.tell("access.result", outcome="ok")
    at = log.tell("access.intent")
    odd = log.tell("access.result", ref=at, outcome="fine")
    log.publish()
    assert log.rules() == [
        ("story.result", second),
        ("story.result", stray),
        ("story.result", bare),
        ("story.outcome", odd),
    ]


def test_a_use_after_a_grant_was_closed(log: ForgedLog) -> None:
    log.tell("grant.closed", ref=1, state="expired", first=2, last=2, uses=1)
    log.publish()
    assert log.rules() == []
    at = log.tell("access.intent", ref=1)
    log.tell("access.result", ref=at, outcome="ok")
    again = log.tell("grant.closed", ref=1, state="expired", first=2, last=at, uses=2)
    log.publish()
    assert log.rules() == [("story.closed", at), ("story.grant", again)]


def test_a_use_of_what_is_no_grant_and_of_a_revoked_one(log: ForgedLog) -> None:
    odd = log.tell("access.intent", ref=0)
    log.tell("access.result", ref=odd, outcome="ok")
    log.tell("grant", ref=1, state="revoked")
    late = log.tell("access.intent", ref=1)
    log.tell("access.result", ref=late, outcome="ok")
    log.publish()
    assert log.rules() == [("story.closed", odd), ("story.revoked", late)]


@pytest.mark.parametrize(
    "said",
    [
        {"uses": 2, "first": 2, "last": 2},
        {"uses": 1, "first": 1, "last": 2},
        {"uses": 1, "first": 2, "last": 3},
        {"uses": 0},
        {},
    ],
)
def test_a_closed_range_that_is_not_the_uses(log: ForgedLog, said: dict[str, int]) -> None:
    at = log.tell("grant.closed", ref=1, state="used", **said)
    log.publish()
    assert log.rules() == [("story.range", at)]


def test_a_grant_without_uses_closes_without_a_range(log: ForgedLog) -> None:
    at = log.tell("grant", state="approved")
    log.tell("grant.closed", ref=at, state="expired", uses=0)
    log.publish()
    assert log.rules() == []


def test_epochs_in_order(log: ForgedLog) -> None:
    one = log.tell("index.epoch", state="begin", epoch=1)
    log.tell("index.epoch", state="root", epoch=0, first=0, stop=one, root="x", ref=one)
    log.tell("ingest")
    two = log.tell("index.epoch", state="begin", epoch=2)
    log.tell("index.epoch", state="root", epoch=1, first=one, stop=two, root="x", ref=two)
    log.publish()
    assert log.rules() == []
    log.clock.advance(25 * HOUR_US)
    assert log.rules() == []
    three = log.tell("index.epoch", state="begin", epoch=3)
    log.publish()
    log.clock.advance(25 * HOUR_US)
    assert log.rules() == [("story.unclosed", three)]


def test_a_skipped_epoch_and_a_gap_between_two(log: ForgedLog) -> None:
    bad = log.tell("index.epoch", state="begin", epoch=2)
    log.publish()
    assert log.rules() == [("story.epoch", bad)]


def test_an_epoch_that_leaves_some_leaves_out(log: ForgedLog) -> None:
    one = log.tell("index.epoch", state="begin", epoch=1)
    bad = log.tell("index.epoch", state="root", epoch=0, first=1, stop=one, ref=one)
    two = log.tell("index.epoch", state="begin", epoch=2)
    worse = log.tell("index.epoch", state="root", epoch=1, first=one, stop=two - 1, ref=two)
    again = log.tell("index.epoch", state="root", epoch=1, first=one, stop=two, ref=two)
    vague = log.tell("index.epoch", epoch=3)
    log.publish()
    assert log.rules() == [("story.epoch", at) for at in (bad, worse, again, vague)]


def test_a_leaf_that_is_none(log: ForgedLog) -> None:
    log.leaves.append(b'{"hello":"world"}')
    log.leaves.append(leaf("access.intent", log.now_ms, ref=None, pub={}) + b" ")
    log.leaves.append(leaf("nothing", log.now_ms, ref=None, pub={}))
    after = log.tell("access.result", ref=4, outcome="ok")
    ahead = log.tell("ingest", ref=99)
    log.publish()
    assert log.rules() == [
        ("story.leaf", 4),
        ("story.leaf", 5),
        ("story.leaf", 6),
        ("story.result", after),
        ("story.ref", ahead),
    ]


def test_numbers_beyond_what_a_fact_may_be_do_not_end_the_monitor(log: ForgedLog) -> None:
    log.tell("index.epoch", state="begin", epoch=9_999_999_999_999_999)
    log.tell("access.intent", at_ms=9_999_999_999_999_999)
    log.publish()
    assert {rule for rule, _ in log.rules()} == {"story.epoch", "story.ahead"}
    log.tell("ingest")
    log.publish()
    assert {rule for rule, _ in log.rules()} == {"story.epoch", "story.ahead", "story.time"}


def test_more_findings_than_are_kept_are_counted(
    log: ForgedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("safehold.ledger.monitor_memory.MOST_FINDINGS", 5)
    for _ in range(8):
        log.tell("access.result", ref=0)
    log.publish()
    verdict = log.watch()
    assert (len(verdict.findings), verdict.more, verdict.exit_code) == (5, 3, 1)


# ---- the offline verifier follows the same course


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ([("access.result", 2, {"outcome": "ok"})], "a result of no intent"),
        ([("access.intent", 0, {})], "no open grant"),
        (
            [("grant.closed", 1, {"state": "used", "uses": 2, "first": 2, "last": 2})],
            "not the uses",
        ),
        (
            [
                ("grant.closed", 1, {"state": "used", "uses": 1, "first": 2, "last": 2}),
                ("access.intent", 1, {}),
            ],
            "no open grant",
        ),
        ([("grant", 1, {"state": "revoked"}), ("access.intent", 1, {})], "was revoked"),
        ([("index.epoch", None, {"state": "begin", "epoch": 2})], "another epoch"),
        ([("key.rotate", None, {})], "names no key"),
    ],
)
@pytest.mark.parametrize("others", [0, 300])
def test_the_verifier_refuses_the_same(
    log: ForgedLog, told: list[tuple[str, int | None, dict[str, Any]]], words: str, others: int
) -> None:
    """Also where the bundle is full of other leaves, which are read another way than a few are."""
    for _ in range(others):
        log.tell("ingest", rows=1)
    for kind, ref, facts in told:
        log.tell(kind, ref=ref, **facts)
    for _ in range(others):
        log.tell("ingest", rows=1)
    log.publish()
    with pytest.raises(VerificationError, match=words) as found:
        verify_log(log.directory, parse_policy(log.policy.encode()))
    assert found.value.where.endswith(f", leaf {3 + others + len(told)}")


def test_the_verifier_is_content_with_an_honest_course(log: ForgedLog) -> None:
    for _ in range(400):
        at = log.tell("access.intent", ref=1)
        log.tell("access.result", ref=at, outcome="ok")
    for _ in range(600):
        log.tell("access.intent")  # a bundle of intents alone
    log.tell("grant.closed", ref=1, state="used", uses=401, first=2, last=at)
    log.publish()
    assert verify_log(log.directory, parse_policy(log.policy.encode())).size == 1405
    log.tell("access.result", ref=1404, outcome="ok")
    log.publish()
    with pytest.raises(VerificationError):
        verify_log(log.directory, parse_policy(log.policy.encode()))


# ---- keys of the log


def rotate(log: ForgedLog) -> LogSigner:
    """Give the log a second key that policy and witness know."""
    new = LogSigner(b"n" * 32, name=log.signer.name)
    log.policy = f"log {new.vkey.text()}\n" + log.policy
    return new


def test_a_key_that_was_announced(log: ForgedLog) -> None:
    new = rotate(log)
    log.tell("key.rotate", vkey=new.vkey.text())
    log.signers = [log.signer, new]
    log.publish()
    assert log.rules() == []
    log.tell("key.rotate", vkey=log.signer.vkey.text(), state="retired")
    log.tell("ingest")
    log.publish()
    assert log.rules() == [("story.key", 6)], "the retired key still signs"


def test_a_key_that_nobody_announced(log: ForgedLog) -> None:
    log.signers = [log.signer, rotate(log)]
    log.tell("ingest")
    log.publish()
    assert log.rules() == [("story.key", 4)]


# ---- the record


def test_a_fork_is_kept_with_both_heads(log: ForgedLog) -> None:
    known = (log.directory / "checkpoint").read_bytes()
    log.leaves[3] = leaf("access.result", log.now_ms, ref=2, pub={"outcome": "ok"})
    log.bribe()
    shown = log.publish()
    assert log.rules() == [("monitor.fork", 4)]
    assert log.watch().exit_code == 5
    (files,) = log.evidence().values()
    assert (files["known"], files["shown"]) == (known, shown)
    # it is not forgiven when the first history is shown again
    place(log.directory / "checkpoint", known)
    assert log.rules() == [("monitor.fork", 4)]


def test_a_rewritten_log_that_grew(log: ForgedLog) -> None:
    known = (log.directory / "checkpoint").read_bytes()
    log.leaves[1] = leaf("grant", log.now_ms, ref=None, pub={"state": "approved"})
    log.tell("ingest")
    log.bribe()
    shown = log.publish()
    assert log.rules() == [("monitor.fork", 4)]
    (files,) = log.evidence().values()
    assert (files["known"], files["shown"]) == (known, shown)
    assert log.watch().size == 4, "what was accepted stays"


def test_a_truncated_log(log: ForgedLog) -> None:
    known = (log.directory / "checkpoint").read_bytes()
    del log.leaves[3]
    log.bribe()
    shown = log.publish()
    assert log.rules() == [("monitor.truncated", 3)]
    (files,) = log.evidence().values()
    assert (files["known"], files["shown"]) == (known, shown)


def test_a_log_set_back_to_an_older_head(log: ForgedLog) -> None:
    shutil.copytree(log.directory, log.path / "older")
    log.tell("ingest")
    log.publish()
    assert log.rules() == []
    shutil.rmtree(log.directory)
    shutil.copytree(log.path / "older", log.directory)
    assert log.rules() == [("monitor.truncated", 4)]


@pytest.mark.parametrize("at", [0, 4, 299, 300, 511])
def test_a_swapped_bundle(log: ForgedLog, at: int) -> None:
    while len(log.leaves) < 512:
        log.tell("ingest")
    log.publish()
    number = at // 256
    some = log.leaves[number * 256 : number * 256 + 256]
    some[at % 256] = leaf("ingest", log.now_ms, ref=None, pub={})
    place(log.directory / tile_path("entries", number), pack_entries(some))
    # what was read before is not read again; a fresh monitor reads all
    assert log.rules(folder="fresh") == [("monitor.bundle", at)]
    assert log.rules() == ([("monitor.bundle", at)] if at >= 4 else [])


def test_a_bundle_that_is_cut_or_has_more(log: ForgedLog) -> None:
    log.tell("ingest")
    log.tell("ingest")
    log.publish()
    bundle = log.directory / tile_path("entries", 0, 6)
    data = bundle.read_bytes()
    for wrong in (data[:-1], data + data, b"", data + b"\0"):
        bundle.write_bytes(wrong)
        assert ("monitor.bundle", 0) in log.rules()
    bundle.write_bytes(data)
    assert log.rules() == [("monitor.bundle", 0)], "it is kept"
    assert log.watch().read == 6


def test_a_tile_that_lies(log: ForgedLog) -> None:
    log.tell("ingest")
    log.publish()
    tile = log.directory / tile_path(0, 0, 5)
    data = bytearray(tile.read_bytes())
    data[4 * HASH] ^= 1
    tile.write_bytes(data)
    assert ("monitor.tile", -1) in log.rules()


def test_hashes_that_back_no_head(log: ForgedLog) -> None:
    log.tell("ingest")
    log.publish()
    tile = log.directory / tile_path(0, 0, 5)
    tile.write_bytes(os.urandom(5 * HASH))
    assert log.rules() == [("monitor.tile", -1)]
    assert log.watch().size == 4


def test_a_missing_bundle_is_no_silence(log: ForgedLog) -> None:
    log.tell("ingest")
    log.publish()
    bundle = log.directory / tile_path("entries", 0, 5)
    data = bundle.read_bytes()
    bundle.unlink()
    assert log.rules() == [("monitor.missing", -1)]
    bundle.write_bytes(data)
    assert log.rules() == []


def test_a_head_that_the_policy_does_not_trust(log: ForgedLog) -> None:
    checkpoint = log.directory / "checkpoint"
    note = checkpoint.read_bytes()
    text = note[: note.rfind(b"\n\n") + 1]
    other = LogSigner(b"o" * 32, name=log.signer.name)
    for wrong in (
        log.signer.sign(text),  # no witness
        other.sign(text) + note.splitlines(keepends=True)[-1],  # not this log
        note.replace(b"acme", b"evil"),
        b"<html>",
        b"",
        note[:-2] + b"A\n",
    ):
        checkpoint.write_bytes(wrong)
        assert log.rules() == [("monitor.head", -1)], wrong
    checkpoint.write_bytes(note)
    assert log.rules() == []


def test_links_pipes_and_endless_files(log: ForgedLog, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = log.directory / "checkpoint"
    note = checkpoint.read_bytes()
    checkpoint.rename(log.path / "elsewhere")
    checkpoint.symlink_to(log.path / "elsewhere")
    assert log.rules() == [("monitor.head", -1)]
    checkpoint.unlink()
    os.mkfifo(checkpoint)
    assert log.rules() == [("monitor.head", -1)]
    checkpoint.unlink()
    monkeypatch.setattr("safehold.ledger.published.LARGEST_NOTE", 100)
    checkpoint.write_bytes(note)
    assert log.rules() == [("monitor.head", -1)]


def test_a_head_that_somebody_else_kept(log: ForgedLog) -> None:
    note = (log.directory / "checkpoint").read_bytes()
    shutil.copytree(log.directory, log.path / "older")
    log.tell("ingest")
    newer = log.publish()
    assert log.rules(others=[("a colleague", note), ("a witness", newer)]) == []
    log.bribe()
    log.leaves[0] = leaf("home", log.now_ms, ref=None, pub={"synthetic": 1})
    forked = log.publish()
    log.watch(folder="other")
    found = log.rules(folder="other", others=[("a colleague", newer)])
    assert found == [("monitor.fork", 5)]
    shutil.rmtree(log.directory)
    shutil.copytree(log.path / "older", log.directory)
    # a witness may be a moment ahead; not twice
    assert log.rules(folder="third", others=[("a witness", newer)]) == []
    assert log.rules(folder="third", others=[("a witness", newer)]) == [("monitor.behind", 4)]
    assert log.rules(folder="third") == []
    assert forked != newer


# ---- the monitor itself


def test_two_monitors_do_not_share_a_directory(log: ForgedLog) -> None:
    with MemoryFolder(log.path / "monitor", late_ms=1).held(), pytest.raises(ConflictError):
        log.watch()


@pytest.mark.parametrize("damage", [b"", b"{}", b'{"v":"safehold-monitor/1"}', b"[1]"])
def test_a_damaged_state_is_said(log: ForgedLog, damage: bytes) -> None:
    (log.path / "monitor" / "state.json").write_bytes(damage)
    with pytest.raises(TamperedError, match="state"):
        log.watch()


def test_a_log_that_is_not_there(log: ForgedLog) -> None:
    with pytest.raises(UnavailableError):
        log.watch(PublishedDirectory(log.path / "nowhere"))


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.forged_log import *
from safehold.ledger import monitor_memory, monitor
monitor.AT_ONCE = 256
left = int(sys.argv[2])
real = monitor_memory.replace_file
def replace(*arguments, **more):
    global left
    if left == 0:
        if sys.argv[3] == "after":
            real(*arguments, **more)
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    real(*arguments, **more)
monitor_memory.replace_file = replace
path = Path(sys.argv[1])
Monitor(PublishedDirectory(path / "log"), policy=parse_policy((path / "policy").read_bytes()),
        directory=path / "monitor", clock=FixedClock(int(sys.argv[4]))).turn()
print("whole")
"""


def test_killed_at_every_writing_it_goes_on(log: ForgedLog, tmp_path: Path) -> None:
    """No finding is lost or found twice, whenever the monitor dies."""
    bad = []
    while len(log.leaves) < 700:
        at = log.tell("access.intent", ref=1)
        if len(log.leaves) % 100 < 2:
            bad.append(log.tell("access.result", ref=0))
        log.tell("access.result", ref=at, outcome="ok")
    log.publish()
    (tmp_path / "policy").write_text(log.policy)
    shutil.copytree(tmp_path / "monitor", tmp_path / "kept")
    expected = log.watch(folder="whole")
    assert [one.index for one in expected.findings] == bad
    killed = 0
    for when in ("before", "after"):
        for step in range(20):
            shutil.rmtree(tmp_path / "monitor")
            shutil.copytree(tmp_path / "kept", tmp_path / "monitor")
            run = subprocess.run(
                [sys.executable, "-c", KILLED, tmp_path, str(step), when, str(log.clock.now_us())],
                capture_output=True,
                cwd=Path(__file__).parents[2],
                check=False,
            )
            verdict = log.watch()
            assert (verdict.findings, verdict.read) == (expected.findings, expected.read)
            assert verdict.broken == ()
            if run.stdout == b"whole\n":
                break
            assert run.returncode == -signal.SIGKILL, run.stderr
            killed += 1
        else:
            raise AssertionError("it never came to an end")
    assert killed >= 12


def test_a_log_that_moves_on_while_it_is_read(log: ForgedLog) -> None:
    """A head whose partial files went away is left for the newer one."""
    log.tell("ingest")
    log.publish()
    turns = []

    class Moving(PublishedDirectory):
        def read(self, name: str, limit: int) -> bytes:
            if name.startswith("tile/entries") and len(turns) < 3:
                turns.append(name)
                log.tell("ingest")
                log.publish()
            return super().read(name, limit)

    assert log.watch(Moving(log.directory)).exit_code == 0
    assert len(turns) == 3
    assert monitoring.TRIES > 3
