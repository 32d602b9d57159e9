"""The verbs of a silo: to join a run of several houses, and to answer its steps.

Rules:
1. The budget of the whole run is charged once, as it is joined, before anything is opened; nothing is refunded.
2. A step is used up by its leaf, before its release. A number that is not above the last one is refused, so no step is
   answered twice, whoever asks and whatever was lost on the way. Both are a fold of the ledger.
3. Each step is a release like any other: capability, policy, people who take part now, sandbox, gate, result.
4. What the caller gets was masked here. The unmasked sum never leaves the keeper.
"""

from __future__ import annotations

import hmac
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from safehold import canonical
from safehold.canonical import b64, unb64
from safehold.errors import DeniedError, TamperedError, UnavailableError
from safehold.ids import PersonId
from safehold.keeper.agreement import RECIPE, Agreement
from safehold.keeper.ask import Ask, Asker
from safehold.keeper.commission import (
    agreement_of,
    check_members,
    noise_of,
    order_of,
    require_hash,
    require_joined,
    run_of,
)
from safehold.keeper.grants import Grants, Use
from safehold.keeper.masking import Masking, Masks
from safehold.keeper.recipes import FEATURE
from safehold.keeper.release import Release
from safehold.keeper.server import Report, Verb
from safehold.keeper.touched import by_asker
from safehold.ledger import Entry, Receipt
from safehold.privacy.budget import Charge
from safehold.signing import SigningKey

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

STAGE: Final = "training"
KIND: Final = "federation"
_WHOLE: Final = 1 << 64


@dataclass(slots=True)
class _Run:
    """What the ledger says of a run."""

    entry: int
    step: int = 0
    check: int = 0
    done: bool = False


class Federation:
    """The verbs.

    Args:
        desk: What the keeper works with.
        grants: Checks capabilities.
        release: The door to data.
    """

    def __init__(self, desk: Desk, grants: Grants, release: Release) -> None:
        self._desk, self._grants, self._release = desk, grants, release
        self._lock = threading.Lock()
        self._runs: dict[str, _Run] = {}
        self._read = 0
        self.masking: Callable[[], Masking] | None = None  # given by the composition root

    def verbs(self) -> dict[str, Verb]:
        """Return the table."""
        return {
            "federate.identity": self.identity,
            "federate.join": self.join,
            "federate.step": self.step,
            "federate.check": self.check,
            "federate.done": self.done,
        }

    def identity(
        self, _arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Return the public key that an agreement names for this home."""
        return {"identity": self._identity().public.text()}

    def join(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Join a run: charge its whole price, write it down, and return this silo's key of the run.

        Raises:
            DeniedError: No grant for it, or the charter's promise is narrower than the agreement.
            BudgetSpentError: The budget does not cover it.
        """
        agreement, run, name = agreement_of(arguments), run_of(arguments), str(arguments["name"])
        masks = self._masks(agreement, name, run)
        asker, entry = self._admit(arguments, "federate.join", agreement)
        try:
            with self._lock:
                known = self._fold().get(run)
                if known is None:
                    self._check_terms(agreement)
                    self._charge(agreement, asker, run)
                    self._note(run, "joined", 0, asker, agreement, said={"silo": name})
                    known = self._fold()[run]
                else:
                    self._require_open(known, agreement)
                return {"hello": masks.hello(), "step": known.step, "entry": known.entry}
        finally:
            self._grants.end(entry)

    def step(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], report: Report
    ) -> dict[str, Any]:
        """Answer one step: the noisy sum of this silo's people, masked.

        Raises:
            DeniedError: The step was answered before, or the order is not within the agreement.
            TamperedError: The coordinator did not sign the order.
        """
        agreement, run, name = agreement_of(arguments), run_of(arguments), str(arguments["name"])
        order = order_of(arguments, agreement, run, what="step")
        members, model = order["members"], unb64(str(arguments["model"]))
        check_members(members, agreement, name)
        require_hash(model, order["model"])
        masks = self._masks(agreement, name, run)
        asker, entry = self._admit(arguments, "federate.step", agreement)
        try:
            receipt = self._begin(run, "step", order, asker, agreement)
            spec = self._spec(agreement, model) | {"mode": "step"}
            body, intent = self._open(agreement, run, asker, spec, report, held_out=False)
        finally:
            self._grants.end(entry)
        vector = np.frombuffer(body, dtype="<i8").astype(np.uint64)
        if self.masking is None:
            raise UnavailableError("nothing masks here", rule="federation.mask")
        ctx = self.masking().context(
            agreement.digest(), run, order["number"], sorted(members), order["model"]
        )
        masked = masks.mask(vector, members=members, ctx=ctx)
        sent = np.ascontiguousarray(masked, dtype="<u8").tobytes()
        return {"vector": b64(sent), "entry": receipt.index, "intent": intent}

    def check(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], report: Report
    ) -> dict[str, Any]:
        """Say whether a model ruins what people of this silo who never train would see: one noisy bit.

        Raises:
            DeniedError: The check was answered before, or there are no more.
        """
        agreement, run = agreement_of(arguments), run_of(arguments)
        order = order_of(arguments, agreement, run, what="check")
        model, before = unb64(str(arguments["model"])), unb64(str(arguments["before"]))
        require_hash(model, order["model"])
        require_hash(before, order["before"])
        asker, entry = self._admit(arguments, "federate.check", agreement)
        try:
            receipt = self._begin(run, "check", order, asker, agreement)
            spec = self._spec(agreement, model) | {"mode": "check", "before": b64(before)}
            body, intent = self._open(agreement, run, asker, spec, report, held_out=True)
        finally:
            self._grants.end(entry)
        return {"ruined": body == b"\x01", "entry": receipt.index, "intent": intent}

    def done(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Write down how a run ended and which model came of it, and return this ledger's head."""
        agreement, run = agreement_of(arguments), run_of(arguments)
        order = order_of(arguments, agreement, run, what="done")
        asker, entry = self._admit(arguments, "federate.done", agreement)
        try:
            receipt = self._begin(run, "done", order, asker, agreement)
        finally:
            self._grants.end(entry)
        return {"entry": receipt.index, "leaf": receipt.leaf_hash.hex(), "size": receipt.size}

    def _admit(
        self, arguments: Mapping[str, Any], verb: str, agreement: Agreement
    ) -> tuple[Asker, int]:
        use = Use(
            verb=verb,
            purpose=agreement.purpose,
            stage=STAGE,
            recipe=agreement.recipe,
            stream=FEATURE,
        )
        admitted = self._grants.admit(dict(arguments), use)
        return admitted.asker(), admitted.entry

    def _check_terms(self, agreement: Agreement) -> None:
        desk, numbers = self._desk, agreement.numbers
        allowed = desk.trust.allowed(agreement.purpose)
        wide = numbers["epsilon_micro"] > allowed.epsilon_micro
        if wide or numbers["delta_e12"] > allowed.delta_e12:
            raise DeniedError(
                "the agreement promises less than this charter", rule="federation.promise"
            )
        known = desk.gatekeeper.settings("train", synthetic=desk.home.synthetic)
        own = canonical.digest({"tokens": known["vocabulary"], "apps": known["apps"]}).hex()
        if own != agreement.vocabulary:  # every step would fail, after it was paid for
            raise DeniedError(
                "the agreement is for homes with another vocabulary",
                rule="federation.vocabulary",
                fix="draw it up anew: with --synthetic for made-up people, without it for others",
            )
        least = noise_of(numbers)
        if any(numbers[name] < value for name, value in least.items()):
            raise DeniedError(
                "the noise of the agreement does not keep its promise", rule="federation.noise"
            )

    def _charge(self, agreement: Agreement, asker: Asker, run: str) -> None:
        desk = self._desk
        desk.ledger.check_health()
        with desk.turn.last():  # no run settles the intent before it has its result
            self._charge_now(agreement, asker, run)

    def _charge_now(self, agreement: Agreement, asker: Asker, run: str) -> None:
        desk, numbers = self._desk, agreement.numbers
        desk.trust.contained.require_free(by_asker(desk, asker, agreement.purpose))
        receipt = desk.trust.log_charged(
            Entry(
                kind="access.intent",
                actor=asker.principal.id,
                object=RECIPE,
                detail={"purpose": agreement.purpose, "run": run, "agreement": agreement.digest()},
                charter=desk.trust.digest(),
                public={"purpose": agreement.purpose},
                ref=asker.grant,
            ),
            Charge(
                purpose=agreement.purpose,
                epsilon_micro=numbers["epsilon_micro"],
                delta_e12=numbers["delta_e12"],
            ),
            caps=asker.caps,
        )
        self._release.answers.write(
            receipt.index, actor=asker.principal.id, thing=RECIPE, outcome="ok", detail={"run": run}
        )

    def _begin(
        self, run: str, state: str, order: Mapping[str, Any], asker: Asker, agreement: Agreement
    ) -> Receipt:
        """Use a number up: from here it is spent, whatever becomes of the release."""
        with self._lock:
            known = self._fold().get(run)
            if known is None:
                raise DeniedError("this silo did not join the run", rule="federation.joined")
            self._require_open(known, agreement)
            number = int(order["number"])
            last, most = {
                "step": (known.step, agreement.numbers["steps"]),
                "check": (known.check, agreement.numbers["checks"]),
                "done": (0, 1),
            }[state]
            if not last < number <= most:
                raise DeniedError(
                    "this step was answered, or is beyond what was agreed",
                    rule="federation.replay",
                    fix="go on with the next one",
                )
            said = {name: order[name] for name in sorted(order) if name != "members"}
            said["members"] = sorted(order.get("members", {}))
            return self._note(run, state, number, asker, agreement, said=said)

    def _require_open(self, known: _Run, agreement: Agreement) -> None:
        require_joined(self._desk.ledger.detail(known.entry)["detail"], agreement)
        if known.done:
            raise DeniedError("this run is over", rule="federation.over")

    def _note(
        self,
        run: str,
        state: str,
        number: int,
        asker: Asker,
        agreement: Agreement,
        *,
        said: Mapping[str, Any],
    ) -> Receipt:
        desk = self._desk
        return desk.trust.log_running(
            Entry(
                kind=KIND,
                actor=asker.principal.id,
                object=run,
                detail={
                    **said,
                    "agreement": agreement.digest(),
                    "certificate": agreement.certificate,
                    "epsilon_micro": agreement.numbers["epsilon_micro"],
                    "delta_e12": agreement.numbers["delta_e12"],
                    "honest": agreement.numbers["honest"],
                },
                charter=desk.trust.digest(),
                public={"run": run, "state": state, "number": number},
                ref=asker.grant,
                key=f"federation/{run}/{state}/{number}",
            )
        )

    def _fold(self) -> dict[str, _Run]:
        """Return what the ledger says of all runs."""
        ledger = self._desk.ledger
        for index, leaf in ledger.leaves(self._read):
            self._read = index + 1
            if leaf["k"] != KIND:
                continue
            facts = leaf["pub"]
            run = self._runs.setdefault(str(facts["run"]), _Run(index))
            match facts["state"]:
                case "step":
                    run.step = max(run.step, int(facts["number"]))
                case "check":
                    run.check = max(run.check, int(facts["number"]))
                case "done":
                    run.done = True
                case _:
                    pass
        return self._runs

    def _spec(self, agreement: Agreement, model: bytes) -> dict[str, Any]:
        desk = self._desk
        names = ("epsilon_micro", "delta_e12", "steps", "checks", "sampling_ppm", "clip_micro",
                 "actions_per_person", "parameters", "worse_ppm", "deviation", "check_micro")  # fmt: skip
        return {
            **desk.gatekeeper.settings("train", synthetic=desk.home.synthetic),
            **{name: agreement.numbers[name] for name in names},
            "expected": agreement.vocabulary,
            "min_people": desk.trust.least_people(agreement.purpose),
            "model": b64(model),
        }

    def _open(
        self,
        agreement: Agreement,
        run: str,
        asker: Asker,
        spec: Mapping[str, Any],
        report: Report,
        *,
        held_out: bool,
    ) -> tuple[bytes, int]:
        secret = self._desk.vault.derive("federation")
        edge = agreement.numbers["held_out_ppm"] * _WHOLE // 1_000_000

        def side(person: PersonId) -> bool:
            # by a keyed hash of who they are: no data touches it, and it stays the same over the whole run
            drawn = hmac.digest(secret, f"side\0{run}\0{person}".encode(), "sha256")
            return (int.from_bytes(drawn[:8], "big") < edge) is held_out

        ask = Ask(
            recipe=agreement.recipe,
            kind="derived",
            streams=frozenset({FEATURE}),
            purpose=agreement.purpose,
            stage=STAGE,
            least_people=self._desk.trust.least_people(agreement.purpose),
            side=side,
        )
        with self._release.opened(ask, asker) as opening:
            passed, level = self._release.run(
                ask, opening, sorted(opening.blocks), dict(spec), report
            )
            if len(passed) != 1 or passed[0].kind != "share":
                raise TamperedError("a step sent something else", rule="release.frames")
            self._release.close(
                ask, opening, asker, {"run": run, "level": level, "people": len(opening.blocks)}
            )
            return passed[0].body, opening.intent.index

    def _identity(self) -> SigningKey:
        return SigningKey(self._desk.vault.derive("federation"))

    def _masks(self, agreement: Agreement, name: str, run: str) -> Masks:
        if self.masking is None:
            raise UnavailableError("nothing masks here", rule="federation.mask")
        said = f"mask\0{run}\0{agreement.digest()}".encode()
        seed = hmac.digest(self._desk.vault.derive("federation"), said, "sha256")
        return self.masking().masks(
            agreement, name=name, run=run, identity=self._identity(), seed=seed
        )
