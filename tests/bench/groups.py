"""The groups of the suite: which files measure what, and how long they may take."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve().parent
MORE: Final = "more"  # whatever no group names


@dataclass(frozen=True, slots=True)
class Group:
    """One part of the suite.

    Args:
        title: In a few words.
        files: Names of its files without ``test_`` and ``.py``.
        limit_s: Seconds after which it is ended, and what it had is kept.
        sizes: Environment that makes it as short as a run of everything needs; whatever is set already stands.
    """

    title: str
    files: tuple[str, ...]
    limit_s: int
    sizes: dict[str, str] = field(default_factory=dict)


# the order of a run: what is compared with peers first, so that a short time shows it
GROUPS: Final[dict[str, Group]] = {
    "ingest": Group("the way in", ("whole_path", "text_path", "path_memory", "ingest_speed", "workforce_speed"), 420),
    "store": Group(
        "sealed blocks and keys", ("vault_speed", "store_encrypted"), 300,
        {"SAFEHOLD_BENCH_PEOPLE": "10000"},
    ),
    "compaction": Group("small blocks joined", ("compaction_speed",), 90),
    "ledger": Group("the ledger and its proofs", ("ledger_append", "ledger_pymerkle", "verify_speed", "ledger_postgres"), 240),
    "policy": Group("decisions", ("policy_peers", "access_speed", "charter_prove", "difference_speed"), 150),
    "enclave": Group("the sandbox and what runs in it", ("sandbox_cost", "sandbox_gvisor", "query_speed"), 120),
    "training": Group("training with a promise", ("training_opacus", "training_speed"), 240),
    "joins": Group("joint figures of several houses", ("join_speed",), 150),
    "sentinel": Group("who reads what", ("sentinel_bench", "sentinel_speed", "watch_speed"), 240),
    "growth": Group("how work grows", ("growth",), 240),
    "detection": Group("detection of personal data", ("dlp_speed", "dlp_detection", "tagger_speed"), 300),
    "embedding": Group("embeddings", ("embedding_speed",), 60),
    "labels": Group("labels and lineage", ("label_speed",), 60),
    "people": Group(
        "what a person waits for", ("blast_speed", "looking_speed", "package_speed"), 240,
        {"SAFEHOLD_BLAST_ENTRIES": "50000", "SAFEHOLD_LOOKING_ENTRIES": "50000", "SAFEHOLD_PACKAGE_ENTRIES": "50000",
         "SAFEHOLD_PACKAGE_PEOPLE": "200"},
    ),
    "portal": Group(
        "pages and API, and two portals behind a balancer", ("portal_speed", "balancer_speed"), 150,
        {"SAFEHOLD_PORTAL_SECONDS": "8"},
    ),
    "network": Group("devices over HTTP and through a queue", ("network_ingest", "lease_speed"), 120),
    "cluster": Group("sandboxes on a cluster of workers", ("ray_cost",), 240),
    "erasure": Group("erasure", ("erasure_speed",), 180),
    "keys": Group("roots and rotations", ("key_speed",), 120),
    "keepers": Group("two keepers", ("two_keepers",), 150, {"SAFEHOLD_KEEPERS_SECONDS": "2"}),
    "federation": Group("several houses train", ("federation",), 180),
}  # fmt: skip


def find_files(group: str) -> list[Path]:
    """Return the files of a group that are there; ``more`` has what no group names."""
    if group != MORE:
        named = (HERE / f"test_{name}.py" for name in GROUPS[group].files)
        return [file for file in named if file.exists()]
    listed = {name for one in GROUPS.values() for name in one.files}
    return [file for file in sorted(HERE.glob("test_*.py")) if file.stem[5:] not in listed]


def group_of(file: Path) -> str:
    """Return the group of a file."""
    name = file.stem.removeprefix("test_")
    return next((group for group, one in GROUPS.items() if name in one.files), MORE)
