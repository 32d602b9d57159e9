"""What a reader hands on: passages, and what it saw besides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from safehold.dlp.artifact.passage import Passage

IMAGE = "image"  # a picture: nothing here can read what it shows
OPTIMIZER = "optimizer_state"  # moments of gradients: close to the rows they came from
SPREAD = "text_in_weights"  # text in the low bits of weights: nothing that training does
VECTORS = "embedding"  # one vector a row: personal data of whatever was embedded


@dataclass(slots=True)
class Content:
    """A file that was recognised.

    Args:
        kind: Format: ``safetensors``, ``gguf``, ``array``, ``tokenizer``, ``notebook``, ``json``,
            ``log`` or ``table``.
        passages: Its text; may be read once.
        notes: What it holds beside text; complete when the passages have been read.
    """

    kind: str
    passages: Iterable[Passage]
    notes: set[str] = field(default_factory=set)

    def __iter__(self) -> Iterator[Passage]:
        return iter(self.passages)
