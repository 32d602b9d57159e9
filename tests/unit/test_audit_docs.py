"""The page about audits says what the code does: its tables are read and compared."""

from __future__ import annotations

import re
from pathlib import Path

from safehold.assurance.engagement import independence, order, word
from safehold.assurance.engagement.hearing import LATEST_DUE
from safehold.assurance.engagement.verbs import MOST_EVIDENCE
from safehold.keeper import audits, tightening
from safehold.ledger.kind import KINDS
from safehold_verify import assize
from safehold_verify.command_audit import NOUNS
from safehold_verify.leaf import KINDS as VERIFIED

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/reference/audits.md").read_text("utf-8")
LEDGER = (ROOT / "docs/reference/ledger.md").read_text("utf-8")
SOURCES = [
    *sorted((ROOT / "src/safehold/assurance/engagement").glob("*.py")),
    ROOT / "src/safehold/keeper/tightening.py",
    ROOT / "src/safehold/app/auditing.py",
]


def row(state: str) -> list[str]:
    (line,) = re.findall(rf"^\| `{re.escape(state)}` \|.*$", PAGE, re.MULTILINE)
    return [cell.strip() for cell in line.strip("|").split(" | ")]


def test_every_state_is_listed_with_what_it_says() -> None:
    for state in audits.STATES:
        cells = row(state)
        if state in word.FACTS and state != "ended":
            assert set(re.findall(r"`([a-z_0-9]+)`", cells[3])) == word.FACTS[state]
            assert "the auditor" in cells[1]
    for name in KINDS["audit"].public:
        assert f"`{name}`" in PAGE, name
        assert f"`{name}`" in LEDGER, name


def test_every_rule_is_listed_and_no_other() -> None:
    text = "\n".join(one.read_text("utf-8") for one in SOURCES)
    raised = set(re.findall(r'(?:rule=|RULE: Final = |\()\n?\s*"(audit\.[a-z-]+)"', text))
    raised |= {f"audit.{step}" for step in tightening.STEPS[1:]} | {"audit.adverse"}
    raised |= set(independence.RULES)
    verbs = {"audit.engage", "audit.dismiss", "audit.hear", "audit.counters", "audit.list"}
    listed = set(re.findall(r"`(audit\.[a-z-]+)`", PAGE))
    assert raised - listed == set()
    assert listed - raised - verbs - {"audit.show", "audit.independent"} == set()
    for rule, says in independence.RULES.items():
        assert f"| `{rule}` | {says} |" in PAGE


def test_figures_are_those_of_the_code() -> None:
    assert f"{tightening.GRACE_DAYS} days later" in PAGE
    assert f"from {tightening.SOON_DAYS} days before" in PAGE
    assert (tightening.FRACTION, tightening.EXTRA) == (4, 1)
    assert f"{order.LONGEST_DAYS} days at most" in PAGE
    assert f"within {LATEST_DUE} days" in PAGE
    assert f"1 to {MOST_EVIDENCE} entries" in PAGE
    assert order.LIFE_US == word.LATE_US == 3 * 86_400_000_000
    for name in (audits.DOMAIN, audits.VERSION, order.DOMAIN):
        assert f"`{name}`" in PAGE


def test_keeper_and_verifier_speak_of_the_same() -> None:
    assert assize.KIND == audits.KIND
    assert audits.KIND in VERIFIED
    assert (assize.VERSION, assize.DOMAIN.decode()) == (audits.VERSION, audits.DOMAIN)
    assert (assize.OPINIONS, assize.SEVERITIES) == (audits.OPINIONS, audits.SEVERITIES)
    verifier = (ROOT / "docs/reference/verifier.md").read_text("utf-8")
    for noun in NOUNS:
        assert f"safehold-verify {noun} " in verifier
