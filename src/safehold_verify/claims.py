"""What a bundle claims, checked against the entries it refers to, and against the whole record where that is there."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from safehold_verify.document import read_document
from safehold_verify.errors import VerificationError

VERSION = "safehold.evidence/1"
WHERE = "claims.json"
SATISFIED, NOT_SATISFIED, NOT_MEASURED = "satisfied", "not-satisfied", "not-measured"
STATES = (SATISFIED, NOT_SATISFIED, NOT_MEASURED)
PATIENCE_MS = 3_600_000  # a use without a result after this lacks one
# what an entry must say to speak for a claim that something is satisfied; other kinds speak by being there
SPEAKS: Mapping[str, tuple[str, frozenset[Any]]] = {
    "milestone": ("state", frozenset({"kept"})),
    "drill": ("state", frozenset({"held"})),
    "drift": ("state", frozenset({"clear"})),
    "gate": ("state", frozenset({"passed"})),
    "attack": ("state", frozenset({"passed", "inapplicable"})),
    "embed.export": ("state", frozenset({"denied", "refused"})),
}
# probes that judge a series as a whole, in which single entries may say otherwise
SERIES = frozenset({"promises.series"})
WATCH = "watch"


@dataclass(frozen=True, slots=True)
class Record:
    """Entries by index.

    Args:
        leaves: What each says, all that were proved.
        whole: Whether these are all entries of the head.
    """

    leaves: Mapping[int, Mapping[str, Any]]
    whole: bool


class Claims:
    """The claims of a bundle.

    Args:
        tree: What the file says.
    """

    def __init__(self, tree: Mapping[str, Any]) -> None:
        self._tree = tree
        self.home = str(tree["home"])
        self.at_ms = int(tree["at_ms"])
        self.read_size = int(tree["read"])
        self.made_up = tree["made_up"] is True
        self.charter = tree["charter"]
        self.probes: Mapping[str, Mapping[str, Any]] = tree["probes"]
        self.rows: list[Mapping[str, Any]] = tree["rows"]
        self.counts: Mapping[str, Mapping[str, int]] = tree["counts"]
        self.limits = tuple(str(one) for one in [*tree["limits"], *tree["gaps"]])

    @classmethod
    def read(cls, data: bytes) -> Claims:
        """Read the file.

        Raises:
            VerificationError: It is none, or not in canonical form.
        """
        tree = read_document(data, WHERE)
        if tree.get("v") != VERSION:
            raise VerificationError("not the claims of a bundle", where=WHERE)
        try:
            claims = cls(tree)
            claims._check_shape()
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise VerificationError("not the claims of a bundle", where=WHERE) from error
        return claims

    def unsatisfied(self) -> dict[str, str]:
        """Return the obligations that are not satisfied, with the reason."""
        return {
            str(row["id"]): str(row["reason"]) for row in self.rows if row["state"] == NOT_SATISFIED
        }

    def _check_shape(self) -> None:
        for one in self.probes.values():
            if one["state"] not in STATES or not isinstance(one["reason"], str):
                raise ValueError
            for leaf in one["shown"]:
                if type(leaf["leaf"]) is not int or not isinstance(leaf["facts"], dict):
                    raise ValueError
                str(leaf["kind"])
        for row in self.rows:
            if row["state"] not in STATES or not row["probes"]:
                raise ValueError
            str(row["id"]), str(row["framework"]), str(row["reason"])
        if len({row["id"] for row in self.rows}) < len(self.rows):
            raise ValueError

    def check_about(self, origin: str, size: int, root: str) -> None:
        """Check that the claims are about the newest head of the bundle."""
        tree = self._tree
        if (tree["origin"], tree["size"], tree["root"]) != (origin, size, root):
            raise VerificationError("about another head than the newest", where=WHERE)
        if not 0 <= self.read_size <= size:
            raise VerificationError("about more entries than there are", where=WHERE)

    def check_counts(self, facts: Mapping[str, Any]) -> None:
        """Check the counts of the claims against their rows, and against the entry that seals the bundle."""
        counted: dict[str, dict[str, int]] = {}
        for row in self.rows:
            one = counted.setdefault(row["framework"], dict.fromkeys(STATES, 0))
            one[row["state"]] += 1
        if counted != self.counts:
            raise VerificationError("the counts are not those of the rows", where=WHERE)
        for state, name in zip(STATES, ("satisfied", "unsatisfied", "unmeasured"), strict=True):
            if facts.get(name) != sum(one[state] for one in counted.values()):
                raise VerificationError("the entry that seals it counts otherwise", where=WHERE)

    def check_standings(self, results: Mapping[str, Any]) -> None:
        """Check that each row follows from its probes, and that the OSCAL results say the same."""
        for row in self.rows:
            try:
                states = [self.probes[one]["state"] for one in row["probes"]]
            except KeyError as error:
                raise VerificationError(
                    "a probe that said nothing", where=f"{WHERE}, {row['id']}"
                ) from error
            worst = (
                NOT_SATISFIED
                if NOT_SATISFIED in states
                else NOT_MEASURED
                if NOT_MEASURED in states
                else SATISFIED
            )
            if row["state"] != worst:
                raise VerificationError(
                    "it stands otherwise than its probes say", where=f"{WHERE}, {row['id']}"
                )
        where = "oscal/assessment-results.json"
        try:
            (result,) = results["assessment-results"]["results"]
            told = {
                one["target"]["target-id"]: one["target"]["status"]["state"]
                for one in result["findings"]
            }
        except (KeyError, TypeError, ValueError) as error:
            raise VerificationError("not assessment results", where=where) from error
        wanted = {
            f"{row['id']}_obj": SATISFIED if row["state"] == SATISFIED else NOT_SATISFIED
            for row in self.rows
        }
        if told != wanted or len(result["findings"]) != len(wanted):
            raise VerificationError("it says otherwise than the claims", where=where)

    def check_leaves(self, record: Record, files: Mapping[str, bytes]) -> None:
        """Check every entry that a probe refers to: it is there, and says what the claim says it does."""
        for name, probe in self.probes.items():
            good = probe["state"] == SATISFIED
            for one in probe["shown"]:
                self._check_leaf(name, one, record, good=good)
                self._check_text(name, one, files)
            order = probe["order"]
            if list(order) != sorted(set(order)) or not set(order) <= record.leaves.keys():
                raise VerificationError("entries in another order", where=f"{WHERE}, {name}")

    def _check_leaf(self, name: str, one: Mapping[str, Any], record: Record, *, good: bool) -> None:
        where, index = f"{WHERE}, {name}", one["leaf"]
        leaf = record.leaves.get(index)
        if leaf is None or index >= self.read_size:
            raise VerificationError("it refers to an entry without a proof", where=where)
        facts = leaf.get("pub", {})
        if leaf["k"] != one["kind"] or any(
            facts.get(key) != value for key, value in one["facts"].items()
        ):
            raise VerificationError(f"entry {index} says otherwise", where=where)
        if good and leaf["k"] in SPEAKS and name not in SERIES:
            key, speaks = SPEAKS[leaf["k"]]
            if facts.get(key) not in speaks:
                raise VerificationError(f"entry {index} says the opposite", where=where)
        if record.whole:
            self._check_place(where, one, record, leaf)

    def _check_place(
        self, where: str, one: Mapping[str, Any], record: Record, leaf: Mapping[str, Any]
    ) -> None:
        index, newest = one["leaf"], one.get("newest")
        if newest is not None:
            for at in range(index + 1, self.read_size):
                if _same(record.leaves[at], leaf, newest):
                    raise VerificationError(f"entry {at} is newer than entry {index}", where=where)
        if one.get("first") is True:
            for at in range(index):
                if _same(record.leaves[at], leaf, tuple(one["facts"])):
                    raise VerificationError(f"entry {at} came before entry {index}", where=where)

    def _check_text(self, name: str, one: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
        """Check that a published text that is in the bundle is the one whose hash the entry has."""
        facts = one["facts"]
        text = files.get(f"documents/{facts.get('name')}.md")
        if one["kind"] != "document" or text is None or "sha256" not in facts:
            return
        if hashlib.sha256(text).hexdigest() != facts["sha256"]:
            raise VerificationError("not the text that was published", where=f"{WHERE}, {name}")

    def check_folds(self, record: Record, files: Mapping[str, bytes]) -> None:
        """Compute again, from the whole record, what some probes claim: charges, results, order, the last drift."""
        leaves = [record.leaves[at] for at in range(self.read_size)]
        if self._claimed("privacy.budget"):
            self._check_budget(leaves, files)
        if self._claimed("access.results"):
            open_: dict[int, int] = {}
            for at, leaf in enumerate(leaves):
                if leaf["k"] == "access.intent":
                    open_[at] = leaf["t"]
                elif leaf["k"] == "access.result":
                    open_.pop(leaf["ref"], None)
            if any(begun < self.at_ms - PATIENCE_MS for begun in open_.values()):
                raise VerificationError("a use has no result", where=f"{WHERE}, access.results")
        if self._claimed("charter.drift"):
            drifts = [leaf["pub"]["state"] for leaf in leaves if leaf["k"] == "drift"]
            if drifts and drifts[-1] != "clear":
                raise VerificationError(
                    "the record says that it drifts", where=f"{WHERE}, charter.drift"
                )
        for probe, text in (("notice.first", "notice"), ("risk.first", "risk")):
            if self._claimed(probe):
                told = _first(leaves, "document", text)
                came = _first(leaves, "ingest")
                if told is None or came is None or told > came:
                    raise VerificationError("telemetry came first", where=f"{WHERE}, {probe}")

    def _check_budget(self, leaves: list[Mapping[str, Any]], files: Mapping[str, bytes]) -> None:
        spent: dict[str, list[int]] = {}
        for leaf in leaves:
            facts = leaf.get("pub", {})
            if leaf["k"] == "access.intent" and "epsilon_micro" in facts:
                one = spent.setdefault(facts["purpose"], [0, 0])
                one[0] += facts["epsilon_micro"]
                one[1] += facts["delta_e12"]
        charter = read_document(files.get("charter.json", b""), "charter.json")["charter"]
        for purpose, (epsilon, delta) in spent.items():
            stated = charter["purposes"].get(purpose) or {}
            privacy = stated.get("privacy")
            if privacy is None:
                continue  # a purpose of an earlier charter, which is judged by what it is now: nothing
            if epsilon > privacy["epsilon_micro"] or delta > privacy["delta_pico"]:
                raise VerificationError(
                    "the charges exceed the charter", where=f"{WHERE}, privacy.budget"
                )

    def _claimed(self, probe: str) -> bool:
        return probe in self.probes and self.probes[probe]["state"] == SATISFIED


def _same(leaf: Mapping[str, Any], other: Mapping[str, Any], names: Any) -> bool:
    one, two = leaf.get("pub", {}), other.get("pub", {})
    return leaf["k"] == other["k"] and all(one.get(name) == two.get(name) for name in names)


def _first(leaves: list[Mapping[str, Any]], kind: str, name: str = "") -> int | None:
    for at, leaf in enumerate(leaves):
        if leaf["k"] == kind and (not name or leaf.get("pub", {}).get("name") == name):
            return at
    return None
