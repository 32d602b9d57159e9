"""What kind of use a word for an action means: the one table, because the list of actions is not closed.

An action is cut into words at everything that is no letter, and where a capital begins (``embed.export``,
``export_vectors``, ``getArtifact``). Words are matched by their beginnings, so that ``embeddings`` and
``downloaded`` count too.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

EXPORT: Final = "export"
EMBEDDING: Final = "embedding"
ARTIFACT: Final = "artifact"
JOIN: Final = "join"
DOWNLOAD: Final = "download"
PAPER: Final = "paper"

VECTOR: Final = ("embed", "vector", "encod", "latent", "faiss")
MODEL: Final = (
    "artifact",
    "artefact",
    "model",
    "weight",
    "checkpoint",
    "ckpt",
    "safetensor",
    "adapter",
    "lora",
)
OUT: Final = (
    "export", "extract", "dump", "exfil", "egress", "offload", "unload", "copy", "backup", "ship", "send", "transfer",
    "share", "sync",
)  # fmt: skip
FETCH: Final = (
    "download",
    "pull",
    "get",
    "fetch",
    "retriev",
    "checkout",
    "clone",
    "take",
    "load",
    "read",
    "open",
)
ASKING: Final = (
    "grant",
    "request",
    "approv",
    "catalog",
    "propos",
    "vote",
    "ticket",
    "login",
    "session",
)
TOGETHER: Final = (
    "join",
    "merge",
    "link",
    "match",
    "combin",
    "blend",
    "correlat",
    "psi",
    "union",
    "cross",
    "enrich",
)

_PIECE: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


@lru_cache(maxsize=4096)
def meaning_of(action: str) -> str:
    """Return ``export``, ``embedding``, ``artifact``, ``join``, ``paper``, or an empty text for every other use.

    Paper: to ask, approve or look up what there is. It opens no data, so nothing about data is learned from it.

    Export: a word for going out, or a word for vectors with one for fetching. Embedding: any other use of vectors.
    Artifact: a model or artifact with a word for fetching or going out. Join: a word for bringing together.
    What only brings in, lists or makes is none of them.
    """
    words = [piece.lower() for piece in _PIECE.findall(action[:200])]

    def has(table: tuple[str, ...]) -> bool:
        return any(word.startswith(table) for word in words)

    model, out, fetch, vector = has(MODEL), has(OUT), has(FETCH), has(VECTOR)
    taken = has(("download", "pull", "fetch", "retriev", "take"))
    found = ""
    if has(ASKING):
        found = PAPER
    elif model and (out or fetch) and not (vector and out):
        found = ARTIFACT
    elif out or (vector and taken):
        found = EXPORT
    elif vector:
        found = EMBEDDING
    elif has(("download",)):
        found = DOWNLOAD
    elif has(TOGETHER):
        found = JOIN
    return found


@lru_cache(maxsize=4096)
def approves(action: str) -> bool:
    """Tell whether an action approves something: ``grant.approve``, but not ``grant.unapproved``."""
    return any(piece.lower().startswith("approv") for piece in _PIECE.findall(action[:200]))


@lru_cache(maxsize=4096)
def asks(action: str) -> bool:
    """Tell whether an action asks for something: ``grant.request``, but neither ``catalog.browse`` nor a login."""
    pieces = [piece.lower() for piece in _PIECE.findall(action[:200])]
    return any(piece.startswith(("request", "propos", "ticket", "appl")) for piece in pieces)


@lru_cache(maxsize=65_536)
def family_of(name: str) -> str:
    """Return what an object belongs to: its name up to the last ``/``, ``@`` or ``:``; empty if there is none.

    Versions of a model, and tables of one data set, are a family: who uses the family is expected to use a new one.
    """
    return name[: max(name.rfind("/"), name.rfind("@"), name.rfind(":"), 0)]
