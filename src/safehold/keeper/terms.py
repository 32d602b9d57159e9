"""What the charter in force means for one act of the keeper. Pure; the charter is given."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from safehold.charter import Charter
from safehold.dlp.feature import Feature, admit_features
from safehold.errors import ConsentError, DeniedError
from safehold.subjects import Standing
from safehold.telemetry.stream import WHAT_TO_STREAM
from safehold.vault import Label, SealedBlock

STRONGEST = 3  # the strongest sandbox that part 1 can start: E3
DELTA_E12 = 1  # the charter's delta is in units of 1e-12 already


def label_of(charter: Charter, stream: str, *, jurisdiction: str, window: int) -> Label:
    """Return the label of rows of a stream recorded in a window (a UTC day).

    Raises:
        DeniedError: The charter does not collect the stream, or has no purpose for it.
    """
    rules = charter.rules(stream)
    if not rules.purposes:
        raise DeniedError("the charter has no purpose for this data", rule="charter.purpose")
    return Label(
        purposes=tuple(sorted(rules.purposes)),
        jurisdiction=jurisdiction,
        expires=window + 1 + rules.keep_days,
        charter=charter.digest(),
    )


def end_of(charter: Charter, block: SealedBlock) -> int:
    """Return the day on which a block of telemetry may no longer be used, whichever rule is narrower.

    Its label says what the charter said when it was sealed; a newer charter may have shortened that.
    """
    return min(block.label.expires, block.window + 1 + charter.retention(block.stream))


def streams_of(charter: Charter) -> dict[str, dict[str, Any]]:
    """Return the minimisation rules of every stream that may be recorded, as JSON values."""
    found: dict[str, dict[str, Any]] = {}
    for item in charter.collect:
        rules = charter.rules(item.what)
        found[rules.stream] = {
            "stream": rules.stream,
            "level": int(rules.level),
            "apps": None if rules.apps is None else sorted(rules.apps),
            "channels": None if rules.channels is None else sorted(rules.channels),
            "drop": sorted(rules.drop),
            "groups": sorted(rules.dlp),
            "titles": rules.titles,
        }
    return found


def admit_recipe(charter: Charter, features: Iterable[Feature]) -> None:
    """Refuse a recipe whose columns tell what the charter masks where they come from.

    Raises:
        DeniedError: A column would.
    """
    rules = [charter.rules(item.what) for item in charter.collect]
    admit_features(
        features,
        forbidden={rule.stream: rule.dlp for rule in rules},
        levels={rule.stream: rule.level for rule in rules},
    )


def sources_of(charter: Charter, purpose: str) -> frozenset[str]:
    """Return the streams a purpose may use."""
    return frozenset(
        WHAT_TO_STREAM[what] for what in charter.purpose(purpose).sources if what in WHAT_TO_STREAM
    )


def opted_in(charter: Charter, standing: Standing) -> bool:
    """Return whether an opt-in counts: the person signed it, or the charter lets an operator enter it."""
    return standing.signed or charter.participation.opt_in_by == "person_or_operator"


def recorded_streams(charter: Charter, standing: Standing) -> frozenset[str]:
    """Return the streams that may be recorded of a person at all, whatever they paused.

    Of what serves no purpose that they agree to, nothing is recorded.
    """
    if (
        not opted_in(charter, standing)
        or standing.withdrawn_us is not None
        or standing.restricted_us is not None
        or standing.jurisdiction not in charter.jurisdictions
    ):
        return frozenset()
    return frozenset(
        rules.stream
        for item in charter.collect
        for rules in [charter.rules(item.what)]
        if rules.stream in standing.streams and any(map(standing.agrees, rules.purposes))
    )


def silent_because(charter: Charter | None, standing: Standing, *, at_us: int) -> str | None:
    """Return why nothing of a person is recorded at a moment, in the words of a gap record; None if it is."""
    try:
        standing.allowed(at_us=at_us)
    except ConsentError as error:
        return {"subjects.withdrawn": "withdrawn", "subjects.paused": "pause"}.get(
            error.rule or "", "no_consent"
        )
    if charter is None or not recorded_streams(charter, standing):
        return "no_consent"
    return None


def silos_of(charter: Charter, streams: Iterable[str]) -> frozenset[str]:
    """Return the silos that streams lie in."""
    silos = (charter.rules(stream).silo for stream in set(streams))
    return frozenset(silo for silo in silos if silo is not None)


def least_level(charter: Charter, streams: frozenset[str], *, synthetic: bool) -> str:
    """Return the weakest sandbox level that may touch these streams; made-up people need none."""
    if synthetic:
        return "E0"
    sensitivity = max((charter.rules(stream).sensitivity for stream in streams), default=4)
    return f"E{charter.assurance.least(sensitivity)}"


def derived_expiry(charter: Charter, purpose: str, *, today: int, sources_end: int) -> int:
    """Return the day on which something derived ends.

    A differentially private model may outlive its sources, up to the purpose's own term; what is derived
    without a term ends with its sources.
    """
    days = charter.purpose(purpose).derived_keep_days
    return sources_end if days is None else today + days
