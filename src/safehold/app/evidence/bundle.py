"""One bundle of evidence: claims, what proves them, and the papers that people read; sealed by a leaf of the record.

Holds: the manifest names every file by its SHA-256; the last step of a build is a leaf of kind ``evidence`` with the
hash of the manifest, cosigned like every other entry, so whoever trusts the record needs no other signature. Nothing
in a bundle is about a person whose data it is: leaves carry commitments, and people are counted as the home tells
numbers. Of the board it has what the roster says.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

import orjson

from safehold import canonical
from safehold.app.evidence.chain import heads, prove_all, write_chain, write_proof
from safehold.app.evidence.gather import gather
from safehold.app.evidence.packs import rights_pack
from safehold.app.evidence.paper import installed, make_pdf
from safehold.assurance.control import shipped, stand
from safehold.assurance.evidence import history, oscal
from safehold.assurance.evidence.applicability import state_applicability
from safehold.assurance.evidence.claims import Subject, claim, leaves_of
from safehold.assurance.evidence.outline import lay_out
from safehold.assurance.evidence.page import render
from safehold.assurance.milestone import measure_all
from safehold.assurance.probe import judge
from safehold.canonical import b64
from safehold.charter.explain import explain
from safehold.charter.legal import write
from safehold.errors import SafeholdError, UnavailableError
from safehold.keeper.caller import caller
from safehold.keeper.card import Cards
from safehold.keeper.datasheet import complete, write_markdown
from safehold.keeper.verbs import Verbs
from safehold.ledger import Entry
from safehold.ledger.checkpoint import Checkpoint
from safehold.ledger.note import text_of
from safehold_verify.policy import parse_policy

MANIFEST: Final = "safehold.evidence-manifest/1"
WHOLE: Final = 20_000  # entries of a record that goes into a bundle as a whole
_README: Final = """Evidence of a Safehold home.

report.html, report.pdf   for people
claims.json               what is claimed, and the entries of the record that show it
proofs/                   these entries, each with its inclusion proof (C2SP tlog-proof)
heads/                    signed heads of the record, and the proofs that join them
leaves.jsonl              the whole record, one entry a line, if it is short enough
oscal/                    the same as OSCAL 1.2.1; evidence links are the inclusion proofs
documents/, drafts/       texts that the law asks for: published, or only drawn from the charter
manifest.json             SHA-256 of every file; seal/ proves that this is the manifest the record names

Check it, on any machine and without Safehold:

    safehold-verify evidence FOLDER --policy FILE

The policy says whose signatures count. Take it from somewhere else than this folder.
"""


class Bundle:
    """Builds one.

    Args:
        verbs: The keeper.
    """

    def __init__(self, verbs: Verbs) -> None:
        self._verbs = verbs
        self._desk = verbs.desk
        self._gaps: list[str] = []

    def build(self) -> tuple[dict[str, bytes], dict[str, Any]]:
        """Return the files of a bundle, and what it says in short.

        Raises:
            UnavailableError: The quorum of witnesses cannot be reached, so nothing would be proved.
        """
        desk = self._desk
        if desk.trust.digest():
            measure_all(self._verbs)
        facts = gather(self._verbs, anew=True)
        desk.ledger.publish()
        note = desk.ledger.head()
        head = Checkpoint.parse(text_of(note))
        verdicts = judge(facts)
        standings = stand(shipped(), verdicts)
        past = history.fold(desk.ledger.leaves(0, facts.record.size))
        files = {"README.txt": _README.encode(), "policy": desk.home.policy_file.read_bytes()}
        whole = head.size <= WHOLE
        if whole:
            files["leaves.jsonl"] = b"".join(leaf + b"\n" for leaf in desk.ledger.stored(head.size))
        else:
            self._gaps.append(
                f"The record has {head.size} entries; only those that the claims refer to are in this bundle, so"
                " that a later entry says otherwise cannot be seen in it."
            )
        files |= self._papers()
        if not installed():
            self._gaps.append("There is no PDF: the package that sets it is not installed.")
        about = Subject(
            home=desk.home.id,
            origin=desk.ledger.origin,
            size=head.size,
            root=head.root.hex(),
            whole=whole,
            build=build_of(),
            gaps=tuple(self._gaps),
        )
        said = claim(about, facts, verdicts, standings, shipped())
        said["read"] = facts.record.size
        named = [facts.record.newest(kind) for kind in ("home", "roster", "charter")]
        wanted = {*leaves_of(verdicts), *(one.index for one in named if one is not None)}
        files |= self._proved(sorted(wanted), note)
        files |= self._shown(said, past)
        return self._seal(files, said, note)

    def _proved(self, indices: list[int], note: bytes) -> dict[str, bytes]:
        ledger, files = self._desk.ledger, {}
        for name, leaf, proof in prove_all(ledger, indices, note):
            files[f"proofs/{name}.leaf"] = leaf
            files[f"proofs/{name}.tlog-proof"] = proof
        policy = parse_policy(self._desk.home.policy_file.read_bytes())
        return files | write_chain(ledger, heads(ledger, note, policy))

    def _papers(self) -> dict[str, bytes]:
        """Return the charter, the board, and the texts made from them; models and datasets."""
        desk = self._desk
        files = {
            "roster.json": canonical.encode([one.to_json() for one in desk.trust.board.rosters]),
            "datasets.json": _pretty(self._verbs.graph.lineage({}, (), lambda _: None)["lineage"]),
        }
        if not desk.trust.digest():
            self._gaps.append("No charter is in force.")
            return files
        charter = desk.trust.charter()
        files["charter.json"] = canonical.encode(desk.trust.signed().to_json())
        files["charter.txt"] = explain(charter, "en").text().encode()
        files["drafts/rights.md"] = rights_pack(charter).encode()
        listed = self._verbs.documents.listing({}, (), lambda _: None)["documents"]
        for one in listed:
            name = one["document"]
            if one["state"] == "current":
                files[f"documents/{name}.md"] = (desk.home.documents / f"{name}.md").read_bytes()
            else:
                files[f"drafts/{name}.md"] = write(name, charter).encode()
        absent = [one["document"] for one in listed if one["state"] != "current"]
        if absent:
            self._gaps.append(
                f"Not published under the charter in force, and only drawn from it here: {', '.join(absent)}."
            )
        return files | self._models()

    def _models(self) -> dict[str, bytes]:
        models, files = self._verbs.models, {}
        cards = Cards(self._desk, models)
        for name, _purpose in models.names():
            if not models.lives(name):
                continue
            try:
                record = cards.write(name)
            except SafeholdError as error:
                self._gaps.append(f"A model has no release record: {error.rule or error.code}.")
                continue
            files[f"models/{name}/release.json"] = canonical.encode(record)
            if card := models.find(name).get("card"):
                attacks = [
                    {"attack": one["attack"], "state": one["state"]} for one in record["gates"]
                ]
                sha256 = next(iter(record["files"].values()))
                whole = complete(card, artifact=name, sha256=sha256, attacks=attacks)
                files[f"models/{name}/card.md"] = write_markdown(whole).encode()
        return files

    def _shown(
        self, said: Mapping[str, Any], past: Mapping[str, list[history.Point]]
    ) -> dict[str, bytes]:
        promises = history.listing(past)
        picture = history.draw(past) if past else ""
        blocks = lay_out(said, promises)
        files = {
            "claims.json": canonical.encode(said),
            "milestones.json": _pretty(promises),
            "statement-of-applicability.md": state_applicability(said).encode(),
            "report.html": render(blocks, picture=picture).encode(),
            **{f"oscal/{name}.json": _pretty(one) for name, one in oscal.write(said).items()},
        }
        if picture:
            files["milestones.svg"] = picture.encode()
        if installed():
            files["report.pdf"] = make_pdf(blocks)
        return files

    def _seal(
        self, files: dict[str, bytes], said: Mapping[str, Any], note: bytes
    ) -> tuple[dict[str, bytes], dict[str, Any]]:
        desk = self._desk
        manifest = canonical.encode(
            {
                "v": MANIFEST,
                "files": {
                    name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
                    for name, data in files.items()
                },
            }
        )
        totals = {
            state: sum(one[state] for one in said["counts"].values())
            for state in ("satisfied", "not-satisfied", "not-measured")
        }
        sha256 = hashlib.sha256(manifest).hexdigest()
        (receipt,) = desk.log(
            Entry(
                kind="evidence",
                actor=caller().id,
                object="bundle",
                detail={"files": len(files)},
                charter=desk.trust.digest(),
                public={
                    "sha256": sha256,
                    "satisfied": totals["satisfied"],
                    "unsatisfied": totals["not-satisfied"],
                    "unmeasured": totals["not-measured"],
                },
            )
        )
        desk.ledger.publish()
        sealed = desk.ledger.head()
        old, new = (Checkpoint.parse(text_of(one)).size for one in (note, sealed))
        if receipt.index >= new:
            raise UnavailableError(
                "the leaf of this bundle is not cosigned yet", rule="evidence.seal"
            )
        path = desk.ledger.path(receipt.index, new)
        joined = [b64(one) for one in desk.ledger.consistency(old, new)]
        files |= {
            "manifest.json": manifest,
            "seal/manifest.leaf": desk.ledger.leaf(receipt.index),
            "seal/manifest.tlog-proof": write_proof(receipt.index, path, sealed),
            "seal/consistency.json": canonical.encode({"old": old, "new": new, "proof": joined}),
        }
        return files, {
            "entry": receipt.index,
            "manifest": sha256,
            "files": len(files),
            "size": said["size"],
            "counts": said["counts"],
            "totals": totals,
            "gaps": list(said["gaps"]),
            "limits": list(said["limits"]),
        }


def build_of() -> str:
    """Return the version of this program."""
    try:
        return version("safehold")
    except PackageNotFoundError:
        return "source"


def _pretty(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2) + b"\n"


__all__ = ["WHOLE", "Bundle", "build_of"]
