"""The one table of classes: what a span can be called, here, in the rules and in every report.

A class belongs to one group of the charter's ``dlp`` list. ``bit`` goes into the ``sens`` column.
``rank`` decides which name a stretch gets when two rules claim it: the higher one, so that the
worse secret is told.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from safehold.telemetry.stream import Sensitive

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
        masked: Whether it is masked when data comes in. What is not is only reported by a scan, unless
            a rule says otherwise: a date is an ordinary word of work, a date of birth is not.
        tier: The tier that finds it: ``default`` by rule, ``ner`` by the tagger.
    """

    name: str
    group: str
    rank: int
    about: str
    masked: bool = True
    tier: str = "default"

    @property
    def bit(self) -> Sensitive:
        """The bit this class sets in ``sens``."""
        return _BITS[self.group]

    @property
    def token(self) -> str:
        """What stands in the text instead: ``[EMAIL]``."""
        return f"[{self.name}]"


_TABLE: Final = (
    Class("TITLE", "identifiers", 5, "form of address", masked=False),
    Class("JOBTITLE", "identifiers", 6, "job title", masked=False),
    Class("NRP", "identifiers", 7, "nationality, religion or political group", masked=False),
    Class("AGE", "identifiers", 8, "age of a person", masked=False),
    Class("PERSON", "identifiers", 10, "name of a person", tier="ner"),
    Class(
        "LOC", "identifiers", 11, "postal address, street, postal code; places by name: tier ner"
    ),
    Class("ORG", "identifiers", 12, "organisation", tier="ner"),
    Class("DATE", "identifiers", 13, "date or time; masked: a date of birth", masked=False),
    Class("URL", "identifiers", 20, "link or domain; masked: with a credential", masked=False),
    Class("USERNAME", "identifiers", 30, "account name"),
    Class("IP", "identifiers", 31, "IPv4 or IPv6 address"),
    Class("MAC", "identifiers", 32, "hardware address"),
    Class("PHONE", "identifiers", 33, "telephone number or extension"),
    Class("EMPID", "identifiers", 34, "staff number"),
    Class("EMAIL", "identifiers", 40, "e-mail address"),
    Class("LICENCE", "identifiers", 47, "driving or professional licence, vehicle plate"),
    Class("NATIONAL", "identifiers", 48, "passport, tax, insurance or identity card number"),
    Class("SSN", "identifiers", 50, "United States social security number"),
    Class("PRIVATE", "private_communications", 15, "something said in confidence"),
    Class("LEAVE", "work_inferences", 9, "leave or absence of a person", masked=False),
    Class("UNION", "work_inferences", 16, "union or works council activity"),
    Class("PERFORMANCE", "work_inferences", 17, "rating or remark about somebody's performance"),
    Class("LEGAL", "health_financial_legal", 21, "legal matter or privileged advice"),
    Class("FINANCE", "health_financial_legal", 22, "salary, bonus, debt"),
    Class("HEALTH", "health_financial_legal", 23, "condition, medication, treatment, sick leave"),
    Class("MRN", "health_financial_legal", 45, "medical record or health insurance number"),
    Class("BANK", "health_financial_legal", 46, "bank account or routing number"),
    Class("IBAN", "health_financial_legal", 53, "international bank account number"),
    Class("CARD", "health_financial_legal", 52, "payment card number"),
    Class("COMMAND", "security_behaviour", 18, "privileged command", masked=False),
    Class("ADMIN", "security_behaviour", 24, "address of an internal administration page"),
    Class("OTP", "security_behaviour", 55, "one-time code or PIN"),
    Class("PASSWORD", "security_behaviour", 60, "password or passphrase"),
    Class("SECRET", "security_behaviour", 61, "API key, token, private key"),
)
CLASSES: Final = {each.name: each for each in _TABLE}
NAMES: Final = tuple(CLASSES)
