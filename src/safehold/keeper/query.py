"""The verb that answers a query with noisy figures: a release like any other, and noise before anything is told.

1. What may be asked stands in the query's own file: SQL, template, epsilon. A grant names it by its hash; a grant for
   queries that nobody reviewed needs a role that may ``query``, and one person more who agreed to it.
2. Epsilon and delta are charged in the step that writes the intent, before a row is opened, and never given back:
   a query that fails has spent what it cost.
3. People's contributions come out of the sandbox cut to the template, go into the noise, and nowhere else.
4. However a run fails once rows were opened, the caller hears one and the same sentence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from safehold.access.code import SQL
from safehold.errors import (
    DeniedError,
    InvalidError,
    SafeholdError,
    TamperedError,
    UnavailableError,
)
from safehold.keeper.argument import read_word
from safehold.keeper.ask import Ask, Asker
from safehold.keeper.bounds import Opening
from safehold.keeper.grants import Grants, Use
from safehold.keeper.ports import Passed
from safehold.keeper.recipes import QUERY_STAGE, QUERY_VERB
from safehold.keeper.release import Release
from safehold.keeper.server import Report
from safehold.keeper.terms import sources_of
from safehold.privacy.aggregate import Answer, release_aggregate, split_epsilon
from safehold.privacy.mechanism import OpenDP
from safehold.privacy.query import Query, read_query
from safehold.privacy.template import MICRO, Template

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

RELEASES: Final = "dp_aggregate"  # what the charter calls such figures
LONGEST: Final = 128  # characters of a name


class Queries:
    """The verb.

    Args:
        desk: What the keeper works with.
        grants: Checks capabilities.
        release: The one door to data.
    """

    def __init__(self, desk: Desk, grants: Grants, release: Release) -> None:
        self._desk = desk
        self._grants = grants
        self._release = release

    def query(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], report: Report
    ) -> dict[str, Any]:
        """Answer a query under a grant, with noise, for a price.

        Raises:
            InvalidError: The text is no query file, or was refused before a row was opened.
            BudgetSpentError: The purpose's budget does not cover what it costs.
            DeniedError: Grant, charter or a person's choice says no, or too few people take part.
            UnavailableError: It did not come to its end; what it cost stays spent.
        """
        desk = self._desk
        purpose = _word(arguments, "purpose")
        query = read_query(_text(arguments))
        split_epsilon(query.template)  # what cannot be split is refused before it is charged
        recipe = arguments.get("recipe")
        if recipe not in (SQL, query.name):
            raise InvalidError("this is not the query that was approved", rule="sql.hash")
        OpenDP()  # what cannot be answered is not charged
        streams = self._streams(purpose, arguments)
        admitted = self._grants.admit(
            arguments,
            Use(
                verb=QUERY_VERB,
                purpose=purpose,
                stage=QUERY_STAGE,
                recipe=recipe,
                stream=min(streams),
            ),
        )
        try:
            if RELEASES not in desk.trust.charter().purpose(purpose).releases:
                raise DeniedError(
                    "this purpose releases no figures",
                    rule="purpose.releases",
                    fix="what the charter does not allow is forbidden",
                )
            asker = admitted.asker()
            if recipe == SQL:
                asker = replace(
                    asker, action="query"
                )  # that enough people agreed was looked at again just now
            columns = {
                stream: tuple(
                    sorted(
                        name.partition(".")[2]
                        for name in admitted.claims.columns
                        if name.startswith(f"{stream}.")
                    )
                )
                for stream in streams
            }
            template = query.template
            ask = Ask(
                recipe=recipe,
                kind="telemetry",
                streams=streams,
                purpose=purpose,
                stage=QUERY_STAGE,
                least_people=desk.trust.least_people(purpose),
                price=(template.epsilon_micro, template.delta_e12),
                columns=columns,
                said={"query": query.name, "release": template.release, "sql": query.sql[:4_000]},
            )
            return self._answer(query, ask, asker, report)
        finally:
            self._grants.end(admitted.entry)

    def _streams(self, purpose: str, arguments: Mapping[str, Any]) -> frozenset[str]:
        asked = arguments.get("streams")
        if not isinstance(asked, list) or not asked or not all(isinstance(x, str) for x in asked):
            raise InvalidError("a query names its streams", field="streams", rule="sql.streams")
        if not set(asked) <= sources_of(self._desk.trust.charter(), purpose):
            raise DeniedError("a stream beyond the purpose", rule="grant.stream")
        return frozenset(asked)

    def _answer(self, query: Query, ask: Ask, asker: Asker, report: Report) -> dict[str, Any]:
        desk, template = self._desk, query.template
        spec = {
            "sql": query.sql,
            "template": template.to_json(),
            "tables": {name: list(found) for name, found in (ask.columns or {}).items()},
        }
        with self._release.opened(ask, asker) as opening:
            passed, level = self._run(ask, opening, spec, report)
            shares = [one.held for one in passed]
            # whoever was erased while it ran is in no figure; whoever is erased later finds the result in the ledger
            with desk.lock:
                self._release.require_present(opening)
                answer = release_aggregate(template, shares, least=ask.least_people)
                told = _tell(template, answer)
                opening.bounds.send(
                    desk.trust, opening.intent.index, Passed(kind="aggregate", values=told)
                )
                receipt = self._release.close(
                    ask,
                    opening,
                    asker,
                    {"release": template.release, "level": level, "people": len(opening.blocks)},
                )
            left = desk.trust.left(ask.purpose)
            return {
                **told,
                "query": query.name,
                "people": len(opening.blocks),
                "left_out": dict(opening.left_out),
                "epsilon": template.epsilon_micro / MICRO,
                "delta": template.delta_e12 / 1e12,
                "epsilon_left": left.epsilon_micro / MICRO,
                "delta_left": left.delta_e12 / 1e12,
                "level": level,
                "intent": opening.intent.index,
                "entry": receipt.index,
            }

    def _run(
        self, ask: Ask, opening: Opening, spec: Mapping[str, Any], report: Report
    ) -> tuple[list[Passed], str]:
        """Run it over everybody at once.

        Raises:
            UnavailableError: It failed somehow; how might tell of a row.
        """
        try:
            passed, level = self._release.run(ask, opening, sorted(opening.blocks), spec, report)
        except SafeholdError as error:
            rule = error.rule or ""
            if rule == "sandbox.unsaid" or rule.startswith("egress."):
                raise _failed() from error
            raise  # of the keeper's own, or of a query that was refused before a row was seen
        if any(one.kind != "contribution" for one in passed):
            raise TamperedError("a query sent something else", rule="release.frames")
        return passed, level


def _failed() -> UnavailableError:
    return UnavailableError(
        "the query did not come to its end; what it cost stays spent",
        rule="sql.failed",
        fix="try it on made-up people: a home of its own, safehold init --synthetic",
    )


def _tell(template: Template, answer: Answer) -> dict[str, Any]:
    return {
        "release": template.release,
        "figures": [one.to_json() for one in answer.figures],
        "parts": {name: part / MICRO for name, part in answer.parts.items()},
    }


def _text(arguments: Mapping[str, Any]) -> str:
    given = arguments.get("text")
    if not isinstance(given, str):
        raise InvalidError("a query is text", field="text", rule="sql.text")
    return given


def _word(arguments: Mapping[str, Any], name: str) -> str:
    return read_word(arguments, name, rule="sql.word", longest=LONGEST)
