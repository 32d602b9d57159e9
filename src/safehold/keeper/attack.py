"""The verb that attacks what a dataset of this home was made from: a release like any other, and a leaf a gate.

The attackers run in a sandbox, on run-scoped names, under a grant for this recipe. Out come counts. Whoever asks
chooses neither the attackers nor the people nor what is attacked: the keys and pointer of the sources that the ledger
names as those of the dataset, of everybody who takes part now.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from safehold.errors import InvalidError, MissingError, TamperedError
from safehold.keeper.argument import read_word
from safehold.keeper.ask import Ask, Asker
from safehold.keeper.contained import things
from safehold.keeper.days import sources_behind, sources_digest, streams_behind
from safehold.keeper.gates import Attacked, Risk, feature_blocks
from safehold.keeper.grants import Grants, Use
from safehold.keeper.ports import Passed
from safehold.keeper.recipes import ATTACK_STAGES, ATTACK_VERB, REIDENTIFY
from safehold.keeper.release import Release
from safehold.keeper.server import Report
from safehold.keeper.terms import sources_of
from safehold.telemetry.stream import Level

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

MOST_PEOPLE: Final = (
    1_000  # a smaller gallery is easier to recognise somebody in, so a draw says no less
)
LONGEST: Final = 256  # characters of a name


class Attacks:
    """The verbs about attacks on the home's own data.

    Args:
        desk: What the keeper works with.
        grants: Checks capabilities.
        release: The one door to data.
    """

    def __init__(self, desk: Desk, grants: Grants, release: Release) -> None:
        self._desk = desk
        self._grants = grants
        self._release = release
        self._gates = release.gates

    def dataset(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], report: Report
    ) -> dict[str, Any]:
        """Attack the keys and pointer behind a dataset, and put the result of every gate in the ledger.

        Raises:
            MissingError: The home holds no such dataset.
            DeniedError: The grant, the charter or a person's choice says no, or too few people take part.
        """
        desk = self._desk
        purpose, stage = _word(arguments, "purpose"), _word(arguments, "stage")
        if stage not in ATTACK_STAGES:
            raise InvalidError(
                "no data is attacked in this stage", field="stage", rule="attack.stage"
            )
        streams = sources_of(desk.trust.charter(), purpose) & desk.gatekeeper.reads(REIDENTIFY)
        if not streams:
            raise InvalidError("this purpose uses neither keys nor pointer", rule="attack.stream")
        admitted = self._grants.admit(
            arguments,
            Use(
                verb=ATTACK_VERB,
                purpose=purpose,
                stage=stage,
                recipe=REIDENTIFY,
                stream=min(streams),
            ),
        )
        asker = admitted.asker()
        try:
            asker.require_everybody()
            dataset = self._find(purpose, arguments.get("dataset"))
            ask = Ask(
                recipe=REIDENTIFY,
                kind="telemetry",
                streams=streams,
                purpose=purpose,
                stage=stage,
                least_people=desk.trust.least_people(purpose),
                within=frozenset(sources := sources_behind(desk, dataset)),
                about=things(datasets=desk.lineage.above([dataset])),
                # more are drawn where no smaller number could pass a gate
                most_people=max(MOST_PEOPLE, self._gates.fewest()),
            )
            attacked = Attacked(
                dataset=dataset,
                held=self._gates.held(dataset),
                behind=sources_digest(sources),
                streams=streams_behind(desk, dataset) & streams,
                charter=desk.trust.digest(),
            )
            return self._attack(attacked, ask, asker, report)
        finally:
            self._grants.end(admitted.entry)

    def _attack(self, attacked: Attacked, ask: Ask, asker: Asker, report: Report) -> dict[str, Any]:
        desk = self._desk
        settings = desk.gatekeeper.settings(REIDENTIFY, synthetic=desk.home.synthetic)
        with self._release.opened(ask, asker) as opening:
            spec = {**settings, "min_people": ask.least_people}
            passed, level = self._release.run(ask, opening, sorted(opening.blocks), spec, report)
            risks = [_risk(one) for one in passed]
            # before the run counts as over: a crash between the two must not lose a gate that failed
            with desk.lock:
                self._release.require_present(opening)
                found = self._gates.record(
                    attacked, risks, intent=opening.intent.index, actor=asker.principal.id
                )
            receipt = self._release.close(
                ask,
                opening,
                asker,
                {"attacked": attacked.dataset, "level": level, "people": len(opening.blocks)},
            )
        return {
            "dataset": attacked.dataset,
            "people": len(opening.blocks),
            "left_out": dict(opening.left_out),
            "level": level,
            "gates": found,
            "intent": opening.intent.index,
            "entry": receipt.index,
        }

    def _find(self, purpose: str, asked: Any) -> str:
        """Return the dataset that is meant: of those built for the purpose, the one named or the newest.

        Under another purpose it might read fewer streams, of fewer people, than the dataset was made from.
        """
        desk = self._desk
        blocks = [block for block in feature_blocks(desk) if purpose in block.label.purposes]
        known = [
            one
            for one in desk.catalog.sources_of([block.block_id for block in blocks])
            if one.rpartition(":")[0] == purpose
        ]
        if asked is not None:
            known = [one for one in known if one == asked]
        if not known:
            raise MissingError(
                "the home holds no such dataset",
                rule="catalog.dataset",
                fix="build the features first: safehold run",
            )
        return max(known, key=lambda one: int(one.rpartition(":")[2]))

    def listing(
        self, _arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Return how every dataset stands before every gate."""
        return {"gates": self._gates.listing()}


def _risk(passed: Passed) -> Risk:
    if passed.kind != "risk":
        raise TamperedError("an attack sent something else", rule="release.frames")
    found = passed.values
    return Risk(
        stream=found["stream"],
        level=Level(found["level"]),
        people=found["people"],
        hits=found["hits"],
        kinds=tuple(found["kinds"]),
        worst=found["worst"] or "",
        probe=found["probe"] or 0,
        enrolled=found["enrolled"] or 0,
    )


def _word(arguments: Mapping[str, Any], name: str) -> str:
    return read_word(arguments, name, rule="attack.word", longest=LONGEST)
