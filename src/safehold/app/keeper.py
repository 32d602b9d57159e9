"""The keeper as a process: composed here, started by ``embedded`` or ``serve``.

It reads one JSON line from standard input: how to open the root, and for a new home what to make. It answers
with one line on standard output, ``{"ready": ...}`` or ``{"error": ...}``, and then serves the socket until
standard input ends.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa

from safehold import canonical, ids
from safehold.app.anchors import summary
from safehold.app.control import control_url, cut, lead_of, open_control, require_settled
from safehold.app.crossing import PartyProcesses
from safehold.app.custody import Custody, make_root, unlock
from safehold.app.evidence.verbs import EvidenceVerbs
from safehold.app.examiner import ModelExaminer
from safehold.app.gate import EgressGatekeeper, ProvenanceNotary
from safehold.app.hardening import harden
from safehold.app.journal import store_of
from safehold.app.objects import objects_of
from safehold.app.profile import told
from safehold.app.quotes import Quotes
from safehold.app.service import Service, sweep_first
from safehold.app.watch import last_seen
from safehold.app.witnesses import local_witness, settle
from safehold.app.workers import workshop_of
from safehold.assurance.engagement.verbs import AuditVerbs
from safehold.assurance.milestone import measure_all, newest
from safehold.catalog import Catalog, Lineage
from safehold.charter import Rosters
from safehold.clock import Clock, SystemClock
from safehold.db import Lead
from safehold.errors import SafeholdError, UnavailableError
from safehold.incident.responder import Responder
from safehold.incident.verbs import IncidentVerbs
from safehold.keeper.desk import Desk
from safehold.keeper.masking import Masking
from safehold.keeper.ports import Workshop
from safehold.keeper.rotation import LOG_KEY, Rotation, split_seeds
from safehold.keeper.server import Server
from safehold.keeper.trust import Trust
from safehold.keeper.verbs import Verbs
from safehold.ledger import Entry, Ledger, LogSigner, Panel, Witness
from safehold.ledger.index import EpochIndex
from safehold.ledger.store import require_unheld
from safehold.settings import Home
from safehold.signing import SigningKey
from safehold.subjects import Devices, People
from safehold.vault import Records, Vault
from safehold.vault.guarded import scrub
from safehold.vault.kms import Root


def compose(
    home: Home,
    root: Root,
    *,
    clock: Clock | None = None,
    workshop: Workshop | None = None,
    callers: frozenset[int] | None = None,
    lead: Lead | None = None,
    ray: str = "",
) -> Service:
    """Return a keeper for a home, recovered and ready to serve.

    Args:
        home: The home.
        root: Its root, unlocked.
        clock: Time.
        workshop: Starts sandboxes.
        callers: User ids that may speak to it, if it has a user id that none of them has.
        lead: The right to lead, if somebody stands by who has taken it; the service gives it back.
        ray: Where sandboxes run, instead of what the home says; see ``app.workers``.

    Raises:
        ConflictError: Another keeper leads.
    """
    clock = clock or SystemClock()
    desk = open_desk(home, root, clock=clock, workshop=workshop, lead=lead, ray=ray)
    try:
        verbs = Verbs(desk)
        verbs.recover()
        verbs.milestones = lambda anew: [
            one.to_json() for one in (measure_all(verbs) if anew else newest(verbs))
        ]
        verbs.status.own_user = callers is not None
        verbs.federation.masking = _masking
        responder = Responder(verbs)
        incidents = IncidentVerbs(verbs, responder)
        audits = AuditVerbs(verbs)
        verbs.beside |= responder.verbs() | incidents.verbs() | audits.verbs()
        verbs.beside |= EvidenceVerbs(verbs).verbs() | Quotes(desk).verbs()
        verbs.status.watched = lambda: {
            **last_seen(home),
            **summary(home),
            "profile": told(home),
            "incidents": incidents.papers.status(),
            "audit": audits.status(),
        }
        # who stands by has a door of its own, which stays open while others lead
        door = (
            None
            if lead is not None
            else Server(home.socket, verbs.table(), allowed=callers or frozenset())
        )
        return Service(desk, verbs, responder, incidents, door)
    except BaseException:
        desk.ledger.close()
        desk.engine.dispose()
        if desk.lead is not None:
            desk.lead.close()
        raise


def _masking() -> Masking:
    from safehold.federation.mask import Masking as Pads

    return Pads()


def open_desk(
    home: Home,
    root: Root,
    *,
    clock: Clock,
    workshop: Workshop | None = None,
    lead: Lead | None = None,
    ray: str = "",
) -> Desk:
    """Open everything a keeper works with; what was opened is closed again if it fails."""
    with ExitStack() as undo:
        lead = lead or lead_of(home)
        if lead is not None:
            undo.callback(lead.close)
        require_unheld(home.ledger)  # before anything is changed beside a keeper that works
        url = control_url(home)
        engine = open_control(home, lead=lead)
        undo.callback(engine.dispose)
        desk = equip_desk(home, root, engine, clock=clock, workshop=workshop, ray=ray)
        undo.callback(desk.ledger.close)
        require_settled(home, since=url)  # no move begins from here on: the log is held
        desk.lead = lead
        if lead is not None:
            lead.also += [partial(cut, engine), desk.ledger.cut]
        undo.pop_all()
        return desk


def equip_desk(
    home: Home,
    root: Root,
    engine: sa.Engine,
    *,
    clock: Clock,
    workshop: Workshop | None = None,
    ray: str = "",
) -> Desk:
    """Open everything over a control database that is open already; raises as opening a ledger and a vault does."""
    vault = Vault.open(
        engine=engine, root=root, epochs=home.epochs, objects=objects_of(home), clock=clock
    )
    settle(home)
    local, panel = Witness(home.witness, clock=clock), Panel.read(home.witnesses_file)
    ledger = Ledger.open(
        home.ledger,
        signer=[
            LogSigner(seed, name=origin_of(home))
            for seed in split_seeds(vault.open_secret(LOG_KEY))
        ],
        witnesses=panel.open(local),
        quorum=panel.quorum,
        sidecar=vault.sidecar,
        clock=clock,
        store=store_of(home),
    )
    try:
        rotation = Rotation(home, vault=vault, ledger=ledger, local=local)
        rotation.settle()
        return Desk(
            home=home,
            clock=clock,
            vault=vault,
            ledger=ledger,
            catalog=Catalog(
                engine, key=vault.derive("catalog-mac"), sealer=Records(root, "catalog")
            ),
            lineage=Lineage(engine, key=vault.derive("catalog-mac")),
            people=People(engine, sealer=Records(root), lookup_key=vault.derive("lookup")),
            devices=Devices(engine, sealer=Records(root), lookup_key=vault.derive("lookup")),
            trust=Trust(home, ledger, clock),
            workshop=workshop
            or workshop_of(home, lambda: SigningKey(vault.derive("lease-signing")), ray=ray),
            gatekeeper=EgressGatekeeper(),
            notary=ProvenanceNotary(),
            examiner=ModelExaminer(),
            engine=engine,
            sealer=Records(root),
            index=EpochIndex(
                ledger,
                home.index,
                sidecar=vault.sidecar,
                secret=vault.derive("index-padding"),
                keys=lambda: vault.subjects.living().values(),
            ),
            panel=panel,
            local=tuple(local.vkeys),
            rotation=rotation,
            custody=Custody(home),
            crossing=PartyProcesses(),
        )
    except BaseException:
        ledger.close()
        raise


def found(
    home: Home, secret: dict[str, Any], roster: bytes, roster_digest: bytes
) -> tuple[Root, list[str]]:
    """Make root, database, ledger and witness of a new home; return the root and any shares.

    The first leaves name the home and its board.
    """
    root, shares = make_root(home, home.root_file, secret)
    clock = SystemClock()
    engine = open_control(home)
    vault = Vault.open(
        engine=engine, root=root, epochs=home.epochs, objects=objects_of(home), clock=clock
    )
    seed = ids.random_bytes(32)
    vault.seal_secret(LOG_KEY, seed)
    signer = LogSigner(seed, name=origin_of(home))
    store = store_of(home)
    Ledger.create(home.ledger, origin=origin_of(home), signer=signer, store=store)
    witness = local_witness(home)  # whoever signs the first roster has made it
    witness.trust(signer.vkey.text())
    home.policy_file.write_text(Panel().policy(signer.policy_keys, witness.vkeys), encoding="utf-8")
    home.roster_file.write_bytes(
        canonical.encode(Rosters.found(canonical.decode(roster)).to_json())
    )
    with Ledger.open(
        home.ledger,
        signer=signer,
        witnesses=[witness],
        sidecar=vault.sidecar,
        clock=clock,
        store=store,
    ) as ledger:
        ledger.append(
            [
                Entry(
                    kind="home",
                    actor="keeper",
                    object=home.id,
                    detail={},
                    public={"synthetic": int(home.synthetic)},
                ),
                Entry(
                    kind="roster",
                    actor="board",
                    object="roster",
                    detail={},
                    charter=roster_digest,
                    public={"version": 1},
                ),
            ]
        )
    engine.dispose()
    return root, shares


def origin_of(home: Home) -> str:
    """Return the name of a home's log."""
    return home.origin


def main(arguments: list[str]) -> int:
    """Run as a process of its own."""
    kept = harden()
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="keeper: %(message)s")
    try:
        home = Home.open(Path(arguments[0]))
        line = sys.stdin.buffer.readline()
        order = orjson.loads(line)
        scrub(line)
        shares: list[str] = []
        fresh = "found" in order
        if fresh:
            made = order["found"]
            root, shares = found(
                home, order["secret"], made["roster"].encode(), bytes.fromhex(made["digest"])
            )
        else:
            root = unlock(home, order["secret"])
        del order, line
        service = compose(home, root)
        service.verbs.status.memory = kept.payload
        if not fresh:
            sweep_first(service)
    except SafeholdError as error:
        _say({"error": error.payload()})
        return error.exit_code
    except OSError as error:
        failed = UnavailableError(
            f"the keeper cannot start: {error.strerror or 'the system said no'}",
            rule="keeper.start",
            fix="safehold doctor",
        )
        _say({"error": failed.payload()})
        return failed.exit_code
    except Exception as error:  # noqa: BLE001 - a damaged database has errors of its own; their text may quote rows
        fault = UnavailableError(
            f"the keeper cannot start: {type(error).__name__}",
            rule="keeper.start",
            fix="safehold doctor; if the home is damaged, restore it as a whole",
        )
        _say({"error": fault.payload()})
        return fault.exit_code
    _say({"ready": service.level, "shares": shares})
    threading.Thread(target=_wait_for_end, args=(service,), daemon=True).start()
    with contextlib.suppress(KeyboardInterrupt):
        service.serve()
    service.finish()
    service.desk.vault.close()
    return 0


def _wait_for_end(service: Service) -> None:
    while os.read(0, 4096):
        pass
    service.close()


def _say(message: dict[str, Any]) -> None:
    sys.stdout.buffer.write(orjson.dumps(message) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
