"""The recipes by name: what a grant says, the verb that carries each out, and where a charter may allow it.

Words alone: who asks for a grant, or uses one, need not load what carries it out.
"""

from __future__ import annotations

from typing import Final

FEATURE: Final = "feature"
EMBEDDING: Final = "embedding"

REIDENTIFY: Final = "reidentify"
ATTACK_VERB: Final = "attack.dataset"
ATTACK_STAGES: Final = ("audit", FEATURE)  # where a charter may allow it

CODE_VERB: Final = "enclave.run"
CODE_STAGES: Final = ("query", FEATURE)  # as above

QUERY_VERB: Final = "query"
QUERY_STAGE: Final = "query"

REPAIR: Final = "repair"
REPAIR_VERB: Final = "ingest.repair"
REPAIR_STAGE: Final = "ingest"

TRIAL_VERB: Final = "attack.model"
PULL_VERB: Final = "artifact.pull"

# recipes and verbs
EMBED: Final = "embed"
NEAR: Final = "embed.near"
HEAD: Final = "embed.head"
EXPORT: Final = "embed.export"
