"""A permit: a grant that was enacted, in the hand of its holder, and what is asked under it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safehold.access import Holder
from safehold.canonical import b64, unb64
from safehold.keeper.client import Progress
from safehold.keeper.messages import use_message
from safehold.keeper.recipes import ATTACK_VERB, CODE_VERB, REPAIR, REPAIR_VERB
from safehold.keeper.signed import Line


@dataclass(frozen=True, slots=True)
class Pass:
    """A grant that was enacted, with its holder.

    Args:
        grant: Its id.
        holder: Token and key.
        stage: The stage it is for.
    """

    grant: str
    holder: Holder
    stage: str = "training"

    def feature(self, client: Line, purpose: str, progress: Progress) -> dict[str, Any]:
        """Build features; the charter lets the pipeline do that without a grant."""
        return client.call("feature", progress=progress, purpose=purpose)

    def train(
        self, client: Line, purpose: str, progress: Progress, *, workers: int = 1
    ) -> dict[str, Any]:
        """Train under the grant and return the figures.

        Args:
            client: A line to the keeper.
            purpose: The purpose.
            progress: Told how far it is.
            workers: Sandboxes that add up gradients, beside the one that leads.
        """
        nonce = unb64(client.call("nonce")["nonce"])
        answer = client.call(
            "train",
            progress=progress,
            purpose=purpose,
            token=self.holder.token,
            nonce=b64(nonce),
            proof=b64(self.holder.prove(nonce, use_message("train", purpose))),
            workers=workers,
        )
        return {**answer, **_figures(answer["metrics"])}

    def repair(self, client: Line, progress: Progress) -> dict[str, Any]:
        """Judge again what was set aside, and return how many came in, and by which rules the others were refused."""
        return client.call(
            REPAIR_VERB, progress=progress, **self.prove(client, REPAIR_VERB, REPAIR)
        )

    def embed(
        self,
        client: Line,
        verb: str,
        purpose: str,
        progress: Progress,
        *,
        encoder: Path | None = None,
        **asked: Any,
    ) -> dict[str, Any]:
        """Make vectors, ask them or train on them, under the grant; with a company's own encoder if one is named."""
        nonce = unb64(client.call("nonce")["nonce"])
        with contextlib.ExitStack() as stack:
            files = () if encoder is None else (stack.enter_context(encoder.open("rb")).fileno(),)
            return client.call(
                verb,
                descriptors=files,
                progress=progress,
                purpose=purpose,
                token=self.holder.token,
                nonce=b64(nonce),
                proof=b64(self.holder.prove(nonce, use_message(verb, purpose))),
                **asked,
            )

    def join(
        self,
        client: Line,
        verb: str,
        order: Mapping[str, Any],
        progress: Progress,
        listener: int | None,
    ) -> dict[str, Any]:
        """Take part in a session with other houses, under the grant."""
        return client.call(
            verb,
            progress=progress,
            descriptors=() if listener is None else (listener,),
            **self.prove(client, verb, order["purpose"]),
            **order,
        )

    def prove(self, client: Line, verb: str, purpose: str) -> dict[str, Any]:
        """Return what a verb under this grant takes: the token, and the proof over a fresh nonce."""
        nonce = unb64(client.call("nonce")["nonce"])
        return {
            "token": self.holder.token,
            "nonce": b64(nonce),
            "proof": b64(self.holder.prove(nonce, use_message(verb, purpose))),
        }

    def attack(
        self, client: Line, purpose: str, dataset: str | None, progress: Progress
    ) -> dict[str, Any]:
        """Attack what a dataset was made from, under the grant, and return how it stands before each gate."""
        nonce = unb64(client.call("nonce")["nonce"])
        return client.call(
            ATTACK_VERB,
            progress=progress,
            purpose=purpose,
            stage=self.stage,
            token=self.holder.token,
            nonce=b64(nonce),
            proof=b64(self.holder.prove(nonce, use_message(ATTACK_VERB, purpose))),
            dataset=dataset,
        )

    def run(self, client: Line, purpose: str, script: bytes, progress: Progress) -> dict[str, Any]:
        """Run a script under the grant that names it, and return what left."""
        nonce = unb64(client.call("nonce")["nonce"])
        return client.call(
            CODE_VERB,
            progress=progress,
            purpose=purpose,
            stage=self.stage,
            token=self.holder.token,
            nonce=b64(nonce),
            proof=b64(self.holder.prove(nonce, use_message(CODE_VERB, purpose))),
            script=script.decode("utf-8"),
        )


def _figures(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures as rows: exact ones where everybody is made up, the noisy ones otherwise."""
    plain = metrics.get("plain") or {}
    rows = [
        {"name": title, **plain[name], "private": name == "private"}
        for name, title in (
            ("private", "private"),
            ("non_private", "not private"),
            ("bigram", "bigram"),
            ("majority", "majority"),
        )
        if name in plain
    ]
    if not rows and metrics["top1"] is not None:
        scores = {name: metrics[name] for name in ("top1", "macro_f1")}
        rows.append({"name": "private", **scores, "private": True})
    return {
        "models": rows,
        "noisy": {name: metrics.get(name) for name in ("top1", "macro_f1", "top1_error")},
        "epsilon": metrics["epsilon_micro"] / 1e6,
        "delta": metrics["delta_e12"] / 1e12,
    }
