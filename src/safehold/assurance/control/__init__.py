"""The control catalogue: which obligation each control answers, and which probes show it."""

from safehold.assurance.control.catalogue import (
    ASSIST,
    AUTO,
    Catalogue,
    Control,
    Framework,
    Row,
    parse,
    shipped,
)
from safehold.assurance.control.standing import Standing, count, stand
from safehold.assurance.control.verdict import (
    NOT_MEASURED,
    NOT_SATISFIED,
    SATISFIED,
    STATES,
    Shown,
    Verdict,
)

__all__ = [
    "ASSIST",
    "AUTO",
    "NOT_MEASURED",
    "NOT_SATISFIED",
    "SATISFIED",
    "STATES",
    "Catalogue",
    "Control",
    "Framework",
    "Row",
    "Shown",
    "Standing",
    "Verdict",
    "count",
    "parse",
    "shipped",
    "stand",
]
