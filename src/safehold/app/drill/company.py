"""A twin in the form of a home for real people: files and collectors come in, and people speak with their own keys.

Whoever is in it was made up by ``workforce`` all the same. Its charter says by its id that it is a drill's, so that
no home of anybody else passes for one.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from safehold import canonical, ids
from safehold.access import Grant, Holder, PeopleFilter, Price, approve
from safehold.app.draft import Limits
from safehold.app.drill.twin import MARK, Twin, mark_of
from safehold.app.drill.unguarded import COMPANY
from safehold.app.query import Ask, draft_query
from safehold.app.setup import create
from safehold.canonical import b64, unb64
from safehold.charter import Charter, Rosters, Signature, load, shipped, sign
from safehold.charter.proposal import Proposal, Question, propose, vote
from safehold.charter.vocabulary import SEATS
from safehold.clock import SystemClock, day_of
from safehold.keeper.client import KeeperClient
from safehold.keeper.messages import ask, state, use_message
from safehold.keeper.order import domain_of
from safehold.privacy.query import read_query
from safehold.signing import SigningKey
from safehold.workforce import Spec, write_files

PURPOSE: Final = "train_ui_agent"
FIGURES: Final = "improve_tools"  # the purpose of queries
LEAST: Final = 50  # people of any answer
PEOPLE: Final = 60
PACE: Final = 200  # key and pointer events of each person
LEVELS: Final = ("executive", "manager", "manager")  # of the first people; all others are staff
EVIDENCE: Final = "made-up people; nobody was asked and nobody exists"
STREAMS: Final = ("ai", "chat", "focus", "key", "pointer")
APPS: Final = ("assistant", "browser", "chat", "crm", "editor", "mail", "spreadsheet", "ticketing")


@dataclass(slots=True)
class Company(Twin):
    """One company.

    Args:
        board: Keys of the seats.
        people: Keys of the people, by the company's name for them.
    """

    board: dict[str, SigningKey] = field(default_factory=dict)
    people: dict[str, SigningKey] = field(default_factory=dict)

    @property
    def raw(self) -> Path:
        """Folder of the files that came in, as they were; only who made them up has it."""
        return self.folder / "raw"

    @property
    def charter(self) -> Charter:
        """The charter in force."""
        tree = canonical.decode(self.home.charter_file.read_bytes())
        return Charter.from_json(tree["charter"])

    def copy(self, to: Path) -> Company:
        """Return the same company at another place; it must not run meanwhile."""
        shutil.copytree(self.folder, to)
        # what a case adds to its copy must not be asked for in another one
        return replace(self, folder=to, people=dict(self.people), board=dict(self.board))

    def order(self, what: str, *seats: str) -> dict[str, Any]:
        """Return an order of the board, signed by some seats; by all if none is named."""
        text = canonical.encode(
            {
                "v": "safehold.order/1",
                "what": what,
                "home": self.home.id,
                "reason": "a drill",
                "at_us": SystemClock().now_us(),
            }
        )
        return {
            "order": text.decode(),
            "signatures": [
                Signature(seat=seat, value=self.board[seat].sign(domain_of(what), text)).to_json()
                for seat in seats or tuple(self.board)
            ],
        }

    def choose(
        self, client: KeeperClient, person: str, choice: str, **fields: Any
    ) -> dict[str, Any]:
        """Let a person choose, in their own signed words."""
        said = state(
            self.people[person],
            choice,
            home=self.home.id,
            person=person,
            charter=self.charter.digest().hex(),
            nonce=unb64(client.call("nonce")["nonce"]),
            **fields,
        )
        return client.call("people.choose", **said)

    def ask(self, client: KeeperClient, person: str, verb: str, **more: Any) -> dict[str, Any]:
        """Let a person see what is theirs."""
        nonce = unb64(client.call("nonce")["nonce"])
        shown = ask(self.people[person], home=self.home.id, person=person, verb=verb, nonce=nonce)
        return client.call(verb, **shown, **more)

    def propose(self, client: KeeperClient, charter: Charter, seat: str = "hr") -> dict[str, Any]:
        """Let a seat propose another charter."""
        roster = Rosters.open(canonical.decode(self.home.roster_file.read_bytes())).present
        said = Proposal(
            home=self.home.id,
            about="charter",
            digest=charter.digest().hex(),
            version=charter.version,
            base=self.charter.digest().hex(),
            roster=roster.digest().hex(),
            seat=seat,
            at_us=SystemClock().now_us(),
        )
        signature = b64(propose(said, self.board[seat]))
        return client.call(
            "charter.propose",
            charter=charter.to_json(),
            proposal=said.to_json(),
            signature=signature,
        )

    def vote(self, client: KeeperClient, proposal: Mapping[str, Any], *seats: str) -> None:
        """Let seats agree to a proposal."""
        question = Question.from_json(dict(proposal["question"]))
        for seat in seats:
            client.call("charter.vote", vote=vote(question, seat, self.board[seat]).to_json())

    def permit(
        self,
        client: KeeperClient,
        grant: Grant,
        key: SigningKey,
        people: PeopleFilter | None = None,
    ) -> Holder:
        """Have a grant approved and enacted; return what its holder uses."""
        chosen = people or PeopleFilter()
        asked = client.call("request.new", grant=grant.to_json(), people=chosen.to_json())
        price, now = Price.from_json(asked["price"]), SystemClock().now_us()
        approvals = [
            approve(grant, price, seat, self.board[seat], now_us=now).to_json()
            for seat in ("privacy", "legal")
        ]
        made = client.call("grant.enact", grant=grant.to_json(), approvals=approvals)
        return Holder(made["token"], key)


def draft_figures(
    charter: Charter, key: SigningKey, text: str, *, requester: str = "ana", runs: int = 100,
    people: PeopleFilter | None = None, epsilon: float | None = None,
) -> Grant:  # fmt: skip
    """Return a request for one reviewed query.

    Args:
        charter: The charter in force.
        key: The holder's key.
        text: The query file.
        requester: Who asks.
        runs: How often it may be asked.
        people: Who is meant; everybody where nothing is said.
        epsilon: The most that all runs may spend; what they cost where nothing is said.
    """
    limits = Limits(
        runs=runs, per_hour=runs, epsilon_micro=None if epsilon is None else round(epsilon * 1e6)
    )
    asked = Ask(
        requester=requester,
        purpose=FIGURES,
        reason="ticket 1: a drill",
        minutes=60,
        query=read_query(text),
        limits=limits,
    )
    return draft_query(charter, asked, holder=key, people=people or PeopleFilter())


def use(
    client: KeeperClient, holder: Holder, verb: str, purpose: str, **more: Any
) -> dict[str, Any]:
    """Use a capability, and return the answer."""
    nonce = unb64(client.call("nonce")["nonce"])
    proof = b64(holder.prove(nonce, use_message(verb, purpose)))
    return client.call(
        verb, purpose=purpose, token=holder.token, nonce=b64(nonce), proof=proof, **more
    )


def take_file(client: KeeperClient, file: Path) -> dict[str, Any]:
    """Take a file in, as an operator does."""
    with file.open("rb") as handle:
        return client.call(
            "ingest",
            descriptors=[handle.fileno()],
            source={"kind": "file", "name": file.name},
        )


def altered(charter: Charter, **changes: Any) -> Charter:
    """Return a charter with the next version and some parts of its JSON replaced, or made anew by a function."""
    tree = canonical.decode(canonical.encode(charter.to_json()))
    tree["version"] += 1
    for name, value in changes.items():
        tree[name] = value(tree[name]) if callable(value) else value
    return Charter.from_json(tree)


def company_charter() -> Charter:
    """Return the demo's charter with figures as a second purpose, applications that are named, and no waiting.

    A drill cannot wait for fourteen days of notice; how long a change waits is part of no scenario.
    """
    tree = canonical.decode(canonical.encode(load(shipped("demo")).to_json()))
    tree["id"] = COMPANY
    tree["oversight"]["widen"]["notice_s"] = 0
    tree["oversight"]["restart_after_stop"]["needs"] = []
    for item in tree["collect"]:
        if item["what"] in {"keys", "pointer"}:
            item["minimise"]["apps"] = list(APPS)
    scientist = tree["who_may"]["data_scientist"]
    tree["purposes"][FIGURES] = {
        **tree["purposes"][PURPOSE],
        "plain": "See which tools people use, in figures about many.",
        "sources": ["keys", "pointer"],
        "stages": ["ingest", "query"],
        "releases": ["dp_aggregate"],
        "derived_keep_days": None,
    }
    scientist["do"] = ["run_approved_recipe", "query"]
    scientist["stages"] = [*scientist["stages"], "query"]
    role = dict(scientist, do=["run_approved_recipe"])
    role["grant"] = {**scientist["grant"], "max_s": 1800, "token_s": 900, "reason": None}
    tree["who_may"]["agent"] = role | {"may_delegate": True}
    return Charter.from_json(tree)


def found_company(
    folder: Path, *, people: int = PEOPLE, pace: int = PACE, seed: int = 7
) -> Company:
    """Make a company whose people opted in, each with a key of their own, and whose yesterday was taken in.

    Args:
        folder: Where; it must not exist.
        people: How many people.
        pace: Key and pointer events of each.
        seed: Of the made-up people.
    """
    folder.mkdir(mode=0o700)
    spec = Spec(
        people=people, days=1, seed=seed, pace=pace, start_day=day_of(SystemClock().now_us()) - 1
    )
    company = Company(folder, spec, b64(ids.random_bytes(24)), b64(ids.random_bytes(24)))
    with company.here():
        create(folder / "home", seats=company.seats, passphrase=company.passphrase)
    company.board = {seat: SigningKey.read(company.seats / f"{seat}.key") for seat in SEATS}
    (company.home.outside / MARK).write_text(mark_of(company.secret), "ascii")
    files = write_files(spec, company.raw, "jsonl")
    company.people = {f"emp-{number:05d}": SigningKey.generate() for number in range(people)}
    with company.keeper() as client:
        _open(company, client)
        for file in files:
            take_file(client, file)
    return company


def _open(company: Company, client: KeeperClient) -> None:
    """Put its charter in force, and let everybody join and agree."""
    charter = company_charter()
    client.call(
        "charter.enact",
        charter=charter.to_json(),
        signatures=[
            sign(charter, name, key, home=company.home.id).to_json()
            for name, key in company.board.items()
        ],
    )
    client.call(
        "people.enrol",
        people=[
            {
                "person": name,
                "jurisdiction": "US-CA",
                "key": key.public.text(),
                "level": LEVELS[at] if at < len(LEVELS) else "staff",
            }
            for at, (name, key) in enumerate(company.people.items())
        ],
        evidence=EVIDENCE,
    )
    for name in company.people:
        company.choose(client, name, "consent", streams=list(STREAMS))


__all__: Sequence[str] = (
    "APPS", "EVIDENCE", "FIGURES", "LEAST", "PACE", "PEOPLE", "PURPOSE", "STREAMS", "Company", "altered",
    "company_charter", "draft_figures", "found_company", "take_file", "use",
)  # fmt: skip
