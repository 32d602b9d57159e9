"""A bundle of evidence, offline: its files, its proofs, its heads, and what it claims against the record.

What holds when ``verify_evidence`` returns: the files are exactly those of a manifest whose hash stands in an entry of
the log that the policy accepts; every entry that a claim refers to is in that log, and says what the claim says it
does; the heads are one history; charter and board are those that the log names, with their signatures. Where the whole
record is in the bundle, no later entry says otherwise, charges stay within the charter, and every use has its result.

What it cannot show: that a probe which no entry shows was right, and what happened outside the record.

Formats: tlog-proof and tlog-checkpoint (C2SP), canonical JSON, JSON.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safehold_verify.charter import check_charter
from safehold_verify.claims import Claims, Record
from safehold_verify.document import read_document
from safehold_verify.errors import VerificationError
from safehold_verify.files import LARGEST_TEXT, read_file
from safehold_verify.folder import read_folder
from safehold_verify.head import Head, open_head
from safehold_verify.leaf import parse_leaf
from safehold_verify.merkle import leaf_hash, tree_root, verify_consistency, verify_inclusion
from safehold_verify.notes import Checkpoint, parse_base64
from safehold_verify.policy import Policy, load_policy
from safehold_verify.proof import check_proof, parse_proof
from safehold_verify.story import Story
from safehold_verify.words import moment, plain

MANIFEST = "safehold.evidence-manifest/1"
CHAIN = "safehold.evidence-heads/1"
SEAL = ("seal/consistency.json", "seal/manifest.leaf", "seal/manifest.tlog-proof")
_UNLISTED = frozenset({"manifest.json", *SEAL})


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceReport:
    """What was found to hold.

    Args:
        home: Id of the home.
        origin: Name of its log.
        size: Entries that the evidence covers.
        root: Root over them, hex.
        at_ms: When it was made, milliseconds.
        witnesses: Who cosigned the newest head, with the latest time of each in seconds.
        entry: The entry that names the manifest.
        files: Number of files.
        proofs: Entries that were proved one by one.
        heads: Sizes of the heads, oldest first.
        whole: Whether the whole record was there to look for later entries that say otherwise.
        charter: Version of the charter in force, 0 without one.
        signed: Seats whose signature over it was checked.
        counts: By framework, how many obligations stand in each state.
        unsatisfied: Obligations that are not satisfied, with the reason.
        made_up: Whether the home is for made-up people.
        limits: What the evidence does not show.
    """

    home: str
    origin: str
    size: int
    root: str
    at_ms: int
    witnesses: Mapping[str, int]
    entry: int
    files: int
    proofs: int
    heads: tuple[int, ...]
    whole: bool
    charter: int
    signed: tuple[str, ...]
    counts: Mapping[str, Mapping[str, int]]
    unsatisfied: Mapping[str, str]
    made_up: bool
    limits: tuple[str, ...]

    def payload(self) -> dict[str, object]:
        """Return the report as JSON values."""
        return asdict(self)


def verify_evidence(
    bundle: Path | str, policy: Policy | Path | str, *, heads: tuple[bytes, ...] = ()
) -> EvidenceReport:
    """Check a bundle of evidence.

    Args:
        bundle: The folder, or the archive.
        policy: Whose word counts; from outside the bundle.
        heads: Heads of the log that were kept elsewhere; each must lie in its past.

    Raises:
        VerificationError: Something does not hold; ``where`` says what.
    """
    return verify_files(read_folder(Path(bundle)), load_policy(policy), heads=heads)


def verify_files(
    files: Mapping[str, bytes], trusted: Policy, *, heads: tuple[bytes, ...] = ()
) -> EvidenceReport:
    """Check a bundle of evidence that is in memory, as ``verify_evidence`` does.

    Args:
        files: By their names in the bundle.
        trusted: Whose word counts; from outside the bundle.
        heads: Heads of the log that were kept elsewhere.

    Raises:
        VerificationError: Something does not hold; ``where`` says what.
    """
    sealed = _check_manifest(files, trusted)
    chain = _check_chain(files, trusted)
    newest, head = chain[-1]
    _check_seal(files, sealed[1], newest)
    proved = _check_proofs(files, newest)
    record = _check_record(files, newest, proved)
    for at, outside in enumerate(heads, 1):
        _check_outside(open_head(outside, trusted, f"head {at}")[0], chain, record, f"head {at}")
    claims = Claims.read(_need(files, "claims.json"))
    claims.check_about(head.origin, newest.size, newest.root.hex())
    claims.check_counts(sealed[2])
    claims.check_standings(_oscal(files))
    claims.check_leaves(record, files)
    version, signed = check_charter(files, claims, record)
    if record.whole:
        claims.check_folds(record, files)
    return EvidenceReport(
        home=claims.home,
        origin=head.origin,
        size=newest.size,
        root=newest.root.hex(),
        at_ms=claims.at_ms,
        witnesses=head.witnesses,
        entry=sealed[0],
        files=len(files),
        proofs=len(proved),
        heads=tuple(one.size for one, _ in chain),
        whole=record.whole,
        charter=version,
        signed=signed,
        counts=claims.counts,
        unsatisfied=claims.unsatisfied(),
        made_up=claims.made_up,
        limits=claims.limits,
    )


def tell_evidence(report: EvidenceReport) -> Iterator[str]:
    """Yield the lines of a report in plain words, with what it does not show."""
    yield f"Checked: {plain(report.origin)}, {report.size} entries, on {moment(report.at_ms)}."
    yield f"{report.files} files, {report.proofs} entries proved, {len(report.heads)} heads of one history."
    if report.made_up:
        yield "The home is for made-up people."
    if report.charter:
        yield f"Charter version {report.charter}, signed by {', '.join(map(plain, report.signed))}."
    for framework, counts in report.counts.items():
        told = ", ".join(f"{number} {plain(state)}" for state, number in counts.items())
        yield f"  {plain(framework)}: {told}"
    for row, reason in report.unsatisfied.items():
        yield f"  NOT satisfied: {plain(row)}: {plain(reason)}"
    yield "What this does not show:"
    if not report.whole:
        yield "  that no later entry says otherwise: the whole record is not in this bundle."
    for line in report.limits:
        yield f"  {plain(line)}"


def _check_manifest(
    files: Mapping[str, bytes], policy: Policy
) -> tuple[int, Checkpoint, dict[str, Any]]:
    """Check the manifest against its entry of the log, and every file against the manifest."""
    written = _need(files, "manifest.json")
    leaf, proof = _need(files, SEAL[1]), _need(files, SEAL[2])
    found = check_proof(proof, leaf, policy)
    kind, _, _ = parse_leaf(leaf)
    facts = json.loads(leaf).get("pub", {})
    if kind != "evidence" or facts.get("sha256") != hashlib.sha256(written).hexdigest():
        raise VerificationError("not the manifest that the log names", where="manifest.json")
    tree = read_document(written, "manifest.json")
    listed = tree.get("files")
    if tree.get("v") != MANIFEST or not isinstance(listed, dict):
        raise VerificationError("not a manifest", where="manifest.json")
    there = files.keys() - _UNLISTED
    for name in sorted(listed.keys() - there):
        raise VerificationError("a file is missing", where=name)
    for name in sorted(there - listed.keys()):
        raise VerificationError("a file that the manifest does not name", where=name)
    for name, said in listed.items():
        digest = hashlib.sha256(files[name]).hexdigest()
        if said != {"sha256": digest, "size": len(files[name])}:
            raise VerificationError("not the file that the manifest names", where=name)
    head = open_head(parse_proof(proof).checkpoint, policy, SEAL[2])[0]
    return found.index, head, facts


def _check_chain(files: Mapping[str, bytes], policy: Policy) -> list[tuple[Checkpoint, Head]]:
    """Check that the heads are one history, each the beginning of the next, and none is missing."""
    where = "heads/chain.json"
    tree = read_document(_need(files, where), where)
    listed = tree.get("heads")
    if tree.get("v") != CHAIN or not isinstance(listed, list) or not listed:
        raise VerificationError("not a chain of heads", where=where)
    names = {name for name in files if name.startswith("heads/")} - {where}
    found: list[tuple[Checkpoint, Head]] = []
    for one in listed:
        match one:
            case {"size": int(size), "file": str(name), "proof": list(texts)} if len(one) == 3:
                pass
            case _:
                raise VerificationError("not a head of a chain", where=where)
        path = f"heads/{name}"
        head, signed = open_head(_need(files, path), policy, path)
        names.discard(path)
        if head.size != size:
            raise VerificationError("a head of another size than the chain says", where=path)
        proof = [parse_base64(str(text), where=where) for text in texts]
        if found:
            before = found[-1][0]
            if head.origin != before.origin:
                raise VerificationError("a head of another log", where=path)
            verify_consistency(before.size, size, proof, before.root, head.root)
        elif proof:
            raise VerificationError("the first head joins nothing", where=where)
        found.append((head, signed))
    if names:
        raise VerificationError("a head that stands in no chain", where=min(names))
    return found


def _check_seal(files: Mapping[str, bytes], sealed: Checkpoint, newest: Checkpoint) -> None:
    """Check that the head under which the manifest was sealed goes on from the newest head of the chain."""
    where = SEAL[0]
    tree = read_document(_need(files, where), where)
    proof = tree.get("proof")
    if (
        tree.get("old") != newest.size
        or tree.get("new") != sealed.size
        or not isinstance(proof, list)
    ):
        raise VerificationError("it joins other heads", where=where)
    if sealed.origin != newest.origin:
        raise VerificationError("the manifest is sealed in another log", where=where)
    path = [parse_base64(str(text), where=where) for text in proof]
    verify_consistency(newest.size, sealed.size, path, newest.root, sealed.root)


def _check_proofs(files: Mapping[str, bytes], newest: Checkpoint) -> dict[int, bytes]:
    """Check every inclusion proof against the newest head of the chain, whose signatures were checked before."""
    found: dict[int, bytes] = {}
    head = next(data for name, data in files.items() if name == f"heads/{newest.size:010}.head")
    for name in sorted(files):
        if not name.startswith("proofs/") or not name.endswith(".tlog-proof"):
            continue
        proof = parse_proof(files[name])
        leaf = _need(files, name.removesuffix(".tlog-proof") + ".leaf")
        if proof.checkpoint != head:
            raise VerificationError("a proof against another head than the newest", where=name)
        if name != f"proofs/{proof.index:010}.tlog-proof":
            raise VerificationError("the proof of another entry than its name says", where=name)
        try:
            verify_inclusion(proof.index, newest.size, leaf_hash(leaf), proof.path, newest.root)
        except VerificationError as error:
            raise VerificationError(error.message, where=name) from error
        found[proof.index] = leaf
    leaves = sum(name.startswith("proofs/") and name.endswith(".leaf") for name in files)
    if leaves != len(found):
        raise VerificationError("an entry without a proof", where="proofs")
    return found


def _check_record(
    files: Mapping[str, bytes], newest: Checkpoint, proved: Mapping[int, bytes]
) -> Record:
    """Check the whole record, if it is there: its root, its course, and the entries that were proved."""
    data = files.get("leaves.jsonl")
    if data is None:
        return Record({index: json.loads(leaf) for index, leaf in proved.items()}, whole=False)
    where = "leaves.jsonl"
    lines = data.split(b"\n")
    if lines.pop() != b"" or len(lines) != newest.size:
        raise VerificationError("not all entries of the head", where=where)
    if tree_root(b"".join(leaf_hash(one) for one in lines)) != newest.root:
        raise VerificationError("not the entries of the head", where=where)
    story = Story(len(lines))
    story.add([b"\0" + one for one in lines])
    return Record({at: json.loads(one) for at, one in enumerate(lines)}, whole=True)


def _check_outside(
    outside: Checkpoint, chain: list[tuple[Checkpoint, Head]], record: Record, where: str
) -> None:
    """Check that a head that was kept elsewhere lies in the past of this bundle."""
    known = {one.size: one.root for one, _ in chain}
    newest = chain[-1][0]
    if outside.origin != newest.origin:
        raise VerificationError("a head of another log", where=where)
    if outside.size > newest.size:
        raise VerificationError("the bundle is older than this head: it was cut short", where=where)
    root = known.get(outside.size)
    if root is None:
        raise VerificationError(
            "no head of this bundle has its size, so it says nothing of it"
            if not record.whole
            else "a head between those of this bundle; check it against the log itself",
            where=where,
        )
    if root != outside.root:
        raise VerificationError("another history than this head's", where=where)


def _oscal(files: Mapping[str, bytes]) -> dict[str, Any]:
    where = "oscal/assessment-results.json"
    try:
        tree = json.loads(_need(files, where))
    except ValueError as error:
        raise VerificationError("not JSON", where=where) from error
    if not isinstance(tree, dict):
        raise VerificationError("not assessment results", where=where)
    return tree


def _need(files: Mapping[str, bytes], name: str) -> bytes:
    found = files.get(name)
    if found is None:
        raise VerificationError("a file is missing", where=name)
    return found


def read_head(path: Path) -> bytes:
    """Return a head that was kept elsewhere."""
    return read_file(path, path.name, limit=LARGEST_TEXT)
