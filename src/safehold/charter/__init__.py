"""The promise as code: loaded, signed by a board, compiled to policy.

>>> from safehold import charter
>>> promise = charter.load(charter.shipped("example"))
>>> charter.compile(promise).rule("red_line.no-raw-to-people").kind
'red_line'
"""

from importlib import resources
from pathlib import Path

from safehold.charter.board import Seat, Signature
from safehold.charter.check import Finding, Findings, check, examine
from safehold.charter.compile import Policy, compile  # noqa: A004
from safehold.charter.model import Charter, CollectRule, Purpose, RedLine, Role
from safehold.charter.parse import load, parse
from safehold.charter.roster import Roster
from safehold.charter.rule import Rule
from safehold.charter.signed import SignedCharter, sign, verify
from safehold.charter.succession import Rosters


def shipped(name: str) -> Path:
    """Return the path of a charter that comes with Safehold: ``example`` or ``demo``."""
    return Path(str(resources.files("safehold.charter").joinpath(f"{name}.yaml")))


__all__ = [
    "Charter",
    "CollectRule",
    "Finding",
    "Findings",
    "Policy",
    "Purpose",
    "RedLine",
    "Role",
    "Roster",
    "Rosters",
    "Rule",
    "Seat",
    "Signature",
    "SignedCharter",
    "check",
    "compile",
    "examine",
    "load",
    "parse",
    "shipped",
    "sign",
    "verify",
]
