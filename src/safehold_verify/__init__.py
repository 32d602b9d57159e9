"""The offline verifier: all that a third party needs to check a Safehold ledger.

It imports the standard library and ``cryptography`` only, shares no code with ``safehold``, and
needs no settings, no network and no trust in the directory it reads.
"""

from safehold_verify.auditor import Auditor, check_statement
from safehold_verify.choice import Choice, Effect, verify_choice, verify_effect
from safehold_verify.command import main
from safehold_verify.errors import VerificationError
from safehold_verify.evidence import EvidenceReport, verify_evidence
from safehold_verify.head import Head, verify_head
from safehold_verify.index import IndexReport, verify_index
from safehold_verify.log import Report, verify_log
from safehold_verify.merkle import leaf_hash, verify_consistency, verify_inclusion
from safehold_verify.notes import Note, VKey, open_note, parse_checkpoint, parse_vkey
from safehold_verify.opinion import OpinionReport, verify_opinion
from safehold_verify.package import PackageReport, verify_package
from safehold_verify.policy import Policy, parse_policy
from safehold_verify.proof import Inclusion, check_proof, parse_proof, verify_proof
from safehold_verify.receipt import Receipt, verify_receipt
from safehold_verify.recompute import Recount, recompute
from safehold_verify.release import ReleaseReport, verify_release

__all__ = [
    "Auditor",
    "Choice",
    "Effect",
    "EvidenceReport",
    "Head",
    "Inclusion",
    "IndexReport",
    "Note",
    "OpinionReport",
    "PackageReport",
    "Policy",
    "Receipt",
    "Recount",
    "ReleaseReport",
    "Report",
    "VKey",
    "VerificationError",
    "check_proof",
    "check_statement",
    "leaf_hash",
    "main",
    "open_note",
    "parse_checkpoint",
    "parse_policy",
    "parse_proof",
    "parse_vkey",
    "recompute",
    "verify_choice",
    "verify_consistency",
    "verify_effect",
    "verify_evidence",
    "verify_head",
    "verify_inclusion",
    "verify_index",
    "verify_log",
    "verify_opinion",
    "verify_package",
    "verify_proof",
    "verify_receipt",
    "verify_release",
]
