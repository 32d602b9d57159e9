"""The 25 scenarios as data: what somebody tries, from where, and how much of it may succeed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from safehold.assurance.drill.judge import NOTHING, ONE_SEGMENT, Bound, Limit

ALERT_S: Final = 60.0  # seconds until an attempt must be an alert
CONTAIN_S: Final = 60.0
DRIFT_S: Final = 300.0  # seconds until a changed setting must be noticed


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One way in which it went wrong somewhere, or could.

    Args:
        id: ``S01`` to ``S25``.
        title: What happens, in a few words.
        fact: The facts of the real incident behind it.
        attacker: Where they stand.
        module: File of its attack, in ``safehold.app.drill.cases``.
        limit: How much may succeed.
        levels: Whether it is tried at each level of the keeper.
        counted: Whether its people are in the headline.
    """

    id: str
    title: str
    fact: str
    attacker: str
    module: str
    limit: Limit = field(default_factory=Limit)
    levels: bool = False
    counted: bool = False


_ALERTED: Final = Limit(detect_s=ALERT_S)
_ONE: Final = Limit(live=ONE_SEGMENT)
_TRAIL: Final = Limit(live=Bound(missing=0), at_rest=Bound(missing=0))

SCENARIOS: Final[tuple[Scenario, ...]] = (
    Scenario(
        id="S01",
        title="any employee",
        fact="F1 F3",
        attacker="an employee without a grant",
        module="s01_any_employee",
        limit=_ALERTED,
        counted=True,
    ),
    Scenario(
        id="S02",
        title="stolen disk or bucket",
        fact="F2",
        attacker="has a copy of all storage and of the control database",
        module="s02_stolen_disk",
        levels=True,
        counted=True,
    ),
    Scenario(
        id="S03",
        title="everything set to public",
        fact="F3",
        attacker="an operator opens whatever can be opened",
        module="s03_set_to_public",
        limit=Limit(detect_s=DRIFT_S),
        counted=True,
    ),
    Scenario(
        id="S04",
        title="the fix did not stick",
        fact="F4",
        attacker="a deployment or a restore takes the repair back",
        module="s04_fix_reverted",
        counted=True,
    ),
    Scenario(
        id="S05",
        title="derived data",
        fact="F4",
        attacker="an employee looks into features, models, caches, logs and errors",
        module="s05_derived_data",
        counted=True,
    ),
    Scenario(
        id="S06",
        title="pause means pause",
        fact="F5 F10",
        attacker="a collector that goes on recording",
        module="s06_pause",
    ),
    Scenario(
        id="S07",
        title="how long a stop takes",
        fact="F5",
        attacker="32 workers and 8 agents in the middle of a run",
        module="s07_stop",
        limit=Limit(contain_s=CONTAIN_S),
    ),
    Scenario(
        id="S08",
        title="the colleague abroad",
        fact="F9",
        attacker="a counterpart who has not opted in",
        module="s08_counterpart",
    ),
    Scenario(
        id="S09",
        title="somebody moves",
        fact="F9",
        attacker="events after a move to a place that is not in the charter",
        module="s09_moved",
    ),
    Scenario(
        id="S10",
        title="what nobody meant to record",
        fact="F7",
        attacker="prompts and screens with planted secrets",
        module="s10_incidental",
        limit=Limit(live=Bound(canaries=0)),  # credentials; of the rest the recall is told
    ),
    Scenario(
        id="S11",
        title="scope creep",
        fact="F2 F8",
        attacker="a collector that records more after an update",
        module="s11_scope_creep",
    ),
    Scenario(
        id="S12",
        title="review against reality",
        fact="F3 F12",
        attacker="a setting that differs from the signed charter",
        module="s12_drift",
        limit=Limit(detect_s=DRIFT_S),
    ),
    Scenario(
        id="S13",
        title="exempt executives",
        fact="F12",
        attacker="an administrator with a hidden list",
        module="s13_exemptions",
    ),
    Scenario(
        id="S14",
        title="a handful of engineers",
        fact="F11",
        attacker="an engineer with a valid grant to one segment",
        module="s14_handful",
        limit=Limit(live=Bound(records=0, segments=1, canaries=0), detect_s=ALERT_S),
        levels=True,
        counted=True,
    ),
    Scenario(
        id="S15",
        title="root on the data plane",
        fact="F2",
        attacker="root without the secret of the root key",
        module="s15_root",
        limit=_ONE,
        levels=True,
        counted=True,
    ),
    Scenario(
        id="S16",
        title="an agent gone astray",
        fact="F14",
        attacker="an agent told to fix permissions, delegate, loop, read and send",
        module="s16_agent",
        limit=_ALERTED,
        counted=True,
    ),
    Scenario(
        id="S17",
        title="vectors leave, or are turned back",
        fact="F4",
        attacker="a data scientist who exports vectors and asks for neighbours",
        module="s17_vectors",
        counted=True,
    ),
    Scenario(
        id="S18",
        title="a model is pulled",
        fact="F6",
        attacker="whoever downloads a checkpoint",
        module="s18_model_pull",
        limit=_ALERTED,
        counted=True,
    ),
    Scenario(
        id="S19",
        title="the record is rewritten",
        fact="F6",
        attacker="an operator who edits, cuts, empties, forks or restores the log",
        module="s19_rewritten",
        limit=_TRAIL,
    ),
    Scenario(
        id="S20",
        title="who touched my data?",
        fact="F6",
        attacker="each person asks, after S14",
        module="s20_trail",
        limit=_TRAIL,
    ),
    Scenario(
        id="S21",
        title="a manager asks",
        fact="F11",
        attacker="a manager who asks about one report, or subtracts two figures",
        module="s21_manager",
    ),
    Scenario(
        id="S22",
        title="erased, then restored",
        fact="F6",
        attacker="backups that come back after somebody left",
        module="s22_erasure",
    ),
    Scenario(
        id="S23",
        title="two seats and root",
        fact="F3",
        attacker="2 of 6 seats and root collude to widen",
        module="s23_capture",
    ),
    Scenario(
        id="S24",
        title="a purpose for yesterday",
        fact="F13",
        attacker="a valid quorum that adds a purpose today",
        module="s24_retroactive",
    ),
    Scenario(
        id="S25",
        title="out of one enclave",
        fact="F1",
        attacker="code that runs inside a training sandbox",
        module="s25_enclave",
        limit=_ONE,
        levels=True,
        counted=True,
    ),
)
BY_ID: Final[Mapping[str, Scenario]] = {one.id: one for one in SCENARIOS}

__all__ = ["BY_ID", "NOTHING", "SCENARIOS", "Scenario"]
