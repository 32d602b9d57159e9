"""What a charter must mean, beyond its shape: known terms, no forbidden purpose, fitting roles.

The hierarchy of every vocabulary is checked, and what its terms mean in the others: a purpose whose use is, lies
under, or contains a forbidden term is refused, and so is data whose category touches ``never_collect``.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType
from typing import Final

from safehold.charter import terms
from safehold.charter.model import Category, Charter, Collect
from safehold.charter.problem import Problem
from safehold.charter.redline import falls_short, forms
from safehold.charter.set_aside import review_set_aside
from safehold.charter.vocabulary import DATA, GRANTED, INTERNAL, ROWS, SEATS, SELF
from safehold.errors import InvalidError

# what a kind of data is whatever it is called: of these the program knows what it records
BY_ITSELF: Final = MappingProxyType(
    {
        "keys": "fides:user.telemetry",
        "pointer": "sh:pointer",
        "focus": "fides:user.behavior.browsing_history",
        "chat": "pd:Communication",
        "ai_prompts": "sh:prompt",
        "speech": "sh:transcript",
        "screen": "sh:screen_content",
        "performance_metrics": "pd:PerformanceAtWork",
    }
)
MINUTE_S: Final = 60
LONGEST_EMERGENCY_S: Final = 15 * MINUTE_S
LEAST_REVIEWS: Final = 2
_TIMED: Final = ("L0", "L1", "L2")  # levels at which keys keep some of their times


def review(charter: Charter) -> Iterator[Problem]:
    """Yield every reason to refuse a charter, in the order of the document."""
    if charter.version < 1:
        yield Problem(field="version", message="versions start at 1", rule="charter.version")
    yield from _effects(charter)
    yield from _terms(charter)
    yield from _collected(charter)
    yield from _purposes(charter)
    yield from review_set_aside(charter)
    yield from _red_lines(charter)
    yield from _roles(charter)
    yield from _oversight(charter)
    yield from _emergency(charter)
    yield from _named_once(charter)


def check_meaning(charter: Charter) -> None:
    """Refuse a charter whose review finds a problem.

    Raises:
        InvalidError: The first problem.
    """
    for problem in review(charter):
        raise InvalidError(problem.message, rule=problem.rule, fix=problem.fix, field=problem.field)


def _known(word: str, field: str, *, kind: str, slot: str | None = None) -> Iterator[Problem]:
    try:
        if slot is None:
            terms.find(word, kind=kind)
        else:
            terms.find_in(word, kind=kind, slot=slot)
    except InvalidError as error:
        yield Problem(
            field=field, message=error.message, rule=error.rule or "charter.term", fix=error.fix
        )


def _category(category: Category, field: str, *, kind: str) -> Iterator[Problem]:
    for slot, word in category.slots():
        yield from _known(word, f"{field}.{slot}", kind=kind, slot=slot)


def _names(category: Category, *, kind: str) -> set[str]:
    found = set()
    for slot, word in category.slots():
        try:
            found.add(terms.find_in(word, kind=kind, slot=slot).name)
        except InvalidError:
            continue  # reported by _category
    return found


def _by_itself(item: Collect) -> str | None:
    """Return what data is by what it records, which no label takes from under a ban; None for unknown data."""
    timed = item.what == "keys" and item.minimise.level in _TIMED
    return "sh:keystroke_timing" if timed else BY_ITSELF.get(item.what)


def _terms(charter: Charter) -> Iterator[Problem]:
    participation = charter.participation
    yield from _known(participation.legal_basis, "participation.legal_basis", kind="law")
    yield from _known(participation.opt_in, "participation.opt_in", kind="consent")
    subjects = charter.data_subjects
    for side, words in (("include", subjects.include), ("exclude", subjects.exclude)):
        for word in words:
            yield from _known(word, f"data_subjects.{side}", kind="subject")
    for word in charter.never_collect:
        yield from _known(word, "never_collect", kind="category")


def _effects(charter: Charter) -> Iterator[Problem]:
    for field, effect in (
        ("participation.withdraw.effect", charter.participation.withdraw.effect),
        ("oversight.stop.effect", charter.oversight.stop.effect),
    ):
        if effect.within_s < 1:
            yield Problem(
                field=field,
                message="has no deadline, so it might never come",
                rule="charter.effect",
                fix="say how soon at the latest, for example crypto_shred_within 24h",
            )


def _collected(charter: Charter) -> Iterator[Problem]:
    never = set()
    for word in charter.never_collect:
        try:
            never.add(terms.find(word, kind="category").name)
        except InvalidError:
            continue  # reported by _terms
    seen = set()
    if not charter.places.collect_in:
        yield Problem(field="jurisdictions", message="names no place", rule="charter.jurisdiction")
    if "other" in charter.places.collect_in:
        # the policy calls every place so that the charter does not name
        yield Problem(field="jurisdictions", message="this name is taken", rule="charter.reserved")
    for n, item in enumerate(charter.collect):
        field = f"collect.{n}"
        if item.what in seen:
            yield Problem(field=field, message="listed twice", rule="charter.collect.twice")
        seen.add(item.what)
        yield from _category(item.category, f"{field}.category", kind="category")
        for name in sorted(_names(item.category, kind="category")):
            if any(terms.overlaps(name, other) for other in never):
                yield Problem(
                    field=f"{field}.category",
                    message="this category is, lies under or contains one that is never collected",
                    rule="charter.never_collect",
                )
        if any(_by_itself(item) in terms.within(other) for other in never):
            yield Problem(
                field=f"{field}.category",
                message="what this records is never collected, whatever it is called",
                rule="charter.never_collect",
            )
        if not 1 <= item.sensitivity <= 4:
            yield Problem(field=field, message="sensitivity is 1 to 4", rule="charter.sensitivity")
        if item.minimise.level == "L0":
            yield Problem(
                field=f"{field}.minimise", message="raw data is never kept", rule="charter.level"
            )


def _purposes(charter: Charter) -> Iterator[Problem]:
    collected = {item.what for item in charter.collect} | set(INTERNAL)
    banned: dict[str, str] = {}
    for line in charter.red_lines:
        for word in forms(line).terms():
            try:
                banned[terms.find(word, kind="use").name] = line.id
            except InvalidError:
                continue  # reported by _red_lines
    for name, purpose in charter.purposes.items():
        field = f"purposes.{name}"
        if name == "none":
            yield Problem(field=field, message="this name is taken", rule="charter.reserved")
        yield from _category(purpose.uses, f"{field}.uses", kind="use")
        crossed = [
            (use, term)
            for use in sorted(_names(purpose.uses, kind="use"))
            for term in banned
            if terms.overlaps(use, term)
        ]
        # a line that forbids it in the same vocabulary is named before one that does so by a link
        crossed.sort(key=lambda pair: terms.below(pair[0]).isdisjoint(terms.below(pair[1])))
        for _, term in crossed:
            yield Problem(
                field=f"{field}.uses",
                message=f"this use is, lies under or contains what {banned[term]} forbids",
                rule=f"charter.red_line.{banned[term]}",
                fix="no purpose can be granted across a red line",
            )
        if not set(purpose.sources) <= collected:
            yield Problem(
                field=f"{field}.from",
                message="uses data that is not collected",
                rule="charter.purpose.from",
            )
        # what is set aside for repair leaves in no form, so nothing of it is counted against a budget
        aside = charter.set_aside is not None and charter.set_aside.purpose == name
        if purpose.privacy is None and set(purpose.sources) - set(INTERNAL) and not aside:
            yield Problem(
                field=field,
                message="a purpose that uses people's data states its privacy budget",
                rule="charter.purpose.privacy",
            )


def _red_lines(charter: Charter) -> Iterator[Problem]:
    seen = set()
    if not charter.red_lines:
        yield Problem(field="red_lines", message="there is none", rule="charter.red_lines")
    for n, written in enumerate(charter.red_lines):
        field = f"red_lines.{n}"
        line = forms(written)
        if written.id in seen:
            yield Problem(field=field, message="two lines share an id", rule="charter.red_line.id")
        seen.add(written.id)
        if not (
            line.terms() or line.forbid_actions or line.forbid_beside or line.min_people is not None
        ):
            yield Problem(
                field=field,
                message="this red line is only prose, so nothing would enforce it",
                rule="charter.red_line.machine_form",
                fix="add forbid_terms, forbid_actions, forbid_beside or min_people",
            )
        if falls_short(written):
            yield Problem(
                field=field,
                message="its words stand for more than its machine form bans",
                rule="charter.red_line.words",
                fix="take the form away, so that the words have their own, or say it in other words",
            )
        if line.min_people is not None and line.min_people < 2:
            yield Problem(
                field=field, message="fewer than two people", rule="charter.red_line.min_people"
            )
        for word in (*line.forbid, *line.forbid_terms):
            yield from _known(word, field, kind="use")
        for word in line.dpv:
            yield from _known(word, f"{field}.dpv", kind="use", slot="dpv")
        if line.law is not None:
            yield from _known(line.law, field, kind="law")


def _roles(charter: Charter) -> Iterator[Problem]:
    for name, role in charter.who_may.items():
        field = f"who_may.{name}"
        if name == "other":
            yield Problem(field=field, message="this name is taken", rule="charter.reserved")
        if role.sees_data is not True and set(role.do) & set(ROWS):
            yield Problem(
                field=field, message="may see rows, but sees_data is not true", rule="charter.role"
            )
        if set(role.do) & set(GRANTED) and role.grant is None:
            yield Problem(
                field=field,
                message="may use data without saying what a grant of it needs",
                rule="charter.role.grant",
            )
        if set(role.do) & set(SELF) and "self" not in role.stages:
            yield Problem(
                field=field, message="own data is used in stage self", rule="charter.role"
            )
        if set(role.do) & set(DATA) and "self" in role.stages:
            yield Problem(
                field=field, message="data actions have no stage self", rule="charter.role"
            )
        if role.grant is not None:
            limit = 15 * 60 if name == "agent" else 60 * 60
            if not 0 < role.grant.token_s <= limit or role.grant.max_s < role.grant.token_s:
                yield Problem(
                    field=f"{field}.grant",
                    message="a token lives at most an hour, an agent's 15 minutes",
                    rule="charter.role.token",
                )
            if role.grant.approvers < 1:
                yield Problem(
                    field=f"{field}.grant",
                    message="somebody must approve",
                    rule="charter.role.approvers",
                )


def _oversight(charter: Charter) -> Iterator[Problem]:
    board = charter.oversight
    if sorted(board.seats) != sorted(SEATS):
        yield Problem(
            field="oversight.seats", message="the board has six seats", rule="charter.seats"
        )
    most = len(board.seats)
    for name, approve in (
        ("widen", board.widen.approve),
        ("narrow", board.narrow.approve),
        ("stop", board.stop.approve),
        ("restart_after_stop", board.restart_after_stop.approve),
    ):
        if not 1 <= approve <= most:
            yield Problem(
                field=f"oversight.{name}", message="not a number of seats", rule="charter.quorum"
            )
    if board.widen.approve < 5 or not {"privacy", "employee_representative"} <= set(
        board.widen.must_include
    ):
        yield Problem(
            field="oversight.widen",
            message="widening takes five seats, with privacy and the employee representative",
            rule="charter.quorum.widen",
        )


def _emergency(charter: Charter) -> Iterator[Problem]:
    """Yield what makes a grant in an emergency longer, harder or less watched than one may be."""
    glass = charter.oversight.break_glass
    if glass is None:
        return
    ordinary = [
        role.grant.approvers
        for name, role in charter.who_may.items()
        if role.grant is not None and name != "agent"
    ]
    seats = len(set(glass.seats))
    for key, wrong, message, rule in (
        (
            "max",
            not MINUTE_S <= glass.max_s <= LONGEST_EMERGENCY_S,
            "an emergency lasts one to fifteen minutes",
            "length",
        ),
        (
            "reviews",
            not LEAST_REVIEWS <= glass.reviews <= len(SEATS) - glass.approvers,
            "two people review an emergency, or more, and there are seats for them beside those that approve",
            "reviews",
        ),
        ("approvers", glass.approvers < 1, "somebody must approve", "approvers"),
        (
            "approvers",
            not ordinary or glass.approvers > min(ordinary),
            "more approvals than a grant takes otherwise, or no role that gets one",
            "approvers",
        ),
        (
            "seats",
            seats != len(glass.seats) or seats < glass.approvers,
            "different seats, and no fewer than must approve",
            "seats",
        ),
    ):
        if wrong:
            yield Problem(
                field=f"oversight.break_glass.{key}",
                message=message,
                rule=f"charter.break_glass.{rule}",
            )


def _named_once(charter: Charter) -> Iterator[Problem]:
    """Yield promises and gates that share an id: whoever reads one by its id would see only one of them."""
    for key, ids in (
        ("promises", [one.id for one in charter.promises]),
        ("gates", [one.id for one in charter.gates]),
    ):
        for n, name in enumerate(ids):
            if name in ids[:n]:
                yield Problem(
                    field=f"{key}.{n}",
                    message="two of them share an id",
                    rule=f"charter.{key}.id",
                    fix="give each an id of its own",
                )
