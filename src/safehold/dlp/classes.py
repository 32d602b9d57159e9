"""The one table of classes: what a span can be called, here, in the rules and in every report.

A class belongs to one group of the charter's ``dlp`` list. ``bit`` goes into the ``sens`` column.
``rank`` decides which name a stretch gets when two rules claim it: the higher one, so that the
worse secret is told.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from safehold.telemetry.schema import Sensitive

GROUPS: Final = (
    "identifiers",
    "private_communications",
    "health_financial_legal",
    "work_inferences",
    "security_behaviour",
)
_BITS: Final = dict(zip(GROUPS, Sensitive, strict=True))


@dataclass(frozen=True, slots=True)
class Class:
    """One kind of sensitive text.

    Args:
        name: Name used everywhere.
        group: Group of the charter.
        rank: Which class wins where two overlap; higher wins.
        about: What it is, in plain words.
        found: Whether a rule of the default tier finds it today.
    """

    name: str
    group: str
    rank: int
    about: str
    found: bool = True

    @property
    def bit(self) -> Sensitive:
        """The bit this class sets in ``sens``."""
        return _BITS[self.group]

    @property
    def token(self) -> str:
        """What stands in the text instead: ``[EMAIL]``."""
        return f"[{self.name}]"


_TABLE: Final = (
    Class("PERSON", "identifiers", 10, "name of a person", found=False),
    Class("LOC", "identifiers", 11, "place or postal address", found=False),
    Class("ORG", "identifiers", 12, "organisation", found=False),
    Class("DATE", "identifiers", 13, "date or time of day", found=False),
    Class("URL", "identifiers", 20, "link that carries a credential or a session"),
    Class("USERNAME", "identifiers", 30, "account name"),
    Class("IP", "identifiers", 31, "IPv4 or IPv6 address"),
    Class("MAC", "identifiers", 32, "hardware address"),
    Class("PHONE", "identifiers", 33, "telephone number or extension"),
    Class("EMPID", "identifiers", 34, "staff number"),
    Class("EMAIL", "identifiers", 40, "e-mail address"),
    Class("SSN", "identifiers", 50, "United States social security number"),
    Class("PRIVATE", "private_communications", 15, "something said in confidence"),
    Class("UNION", "work_inferences", 16, "union or works council activity"),
    Class("PERFORMANCE", "work_inferences", 17, "rating or remark about somebody's performance"),
    Class("LEGAL", "health_financial_legal", 21, "legal matter or privileged advice"),
    Class("FINANCE", "health_financial_legal", 22, "salary, bonus, debt"),
    Class("HEALTH", "health_financial_legal", 23, "condition, treatment, sick leave"),
    Class("MRN", "health_financial_legal", 45, "medical record number"),
    Class("BANK", "health_financial_legal", 46, "bank account or routing number"),
    Class("IBAN", "health_financial_legal", 51, "international bank account number"),
    Class("CARD", "health_financial_legal", 52, "payment card number"),
    Class("OTP", "security_behaviour", 55, "one-time code or PIN"),
    Class("PASSWORD", "security_behaviour", 60, "password or passphrase"),
    Class("SECRET", "security_behaviour", 61, "API key, token, private key"),
)
CLASSES: Final = {each.name: each for each in _TABLE}
NAMES: Final = tuple(CLASSES)
