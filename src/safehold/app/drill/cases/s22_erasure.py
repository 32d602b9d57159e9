"""S22: somebody leaves, and backups of their data are restored afterwards.

The whole home is backed up, as often as one likes: before their data was used and after it. They are erased. Then each
backup is put back, and somebody with the live root opens whatever opens, with and without the keeper.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from safehold.app.draft import draft_grant
from safehold.app.drill.cases.opened import ids_of, open_raw
from safehold.app.drill.company import PURPOSE, Company, use
from safehold.app.drill.place import Place
from safehold.app.drill.unguarded import replace
from safehold.assurance.drill.outcome import Exposure, Findings
from safehold.errors import SafeholdError
from safehold.keeper.client import KeeperClient
from safehold.signing import SigningKey
from safehold.vault.erase import Shredded
from safehold_verify import VerificationError
from safehold_verify.erasure import verify_erasure

SHE: Final = "emp-00002"
STATES: Final = frozenset({"shredded", "rebuilt", "bounded", "unsupported", "pending"})
HOUR_US: Final = 3_600_000_000


def attempt(place: Place) -> Findings:
    """Erase somebody, and restore."""
    return Findings(at_rest=_attack(place.company("s22"), (), trains=not place.quick))


def control(place: Place) -> Findings:
    """The same where an erasure destroys no key."""
    off = (f"{__name__}:without_shredding",)
    return Findings(at_rest=_attack(place.company("s22-control"), off, trains=False))


def without_shredding() -> None:
    """Let keys and secrets of epochs stay."""
    replace(
        "safehold.vault.vault:Vault.shred",
        lambda *_, **__: Shredded(keys=0, segments=(), survivors=0),
    )


def lake(place: Place) -> Findings:
    """Rows are deleted, and the night's copy of the table is put back a week later."""
    folder = place.bin("s22-lake")
    table, backup = folder / "pointer.parquet", folder / "backup.parquet"
    pq.write_table(pa.table({"person": [SHE] * 100 + ["emp-00003"] * 100}), table)
    shutil.copy(table, backup)
    people = pq.ParquetFile(table).read()["person"].to_pylist()
    pq.write_table(pa.table({"person": [one for one in people if one != SHE]}), table)
    shutil.copy(backup, table)
    left = pq.ParquetFile(table).read()["person"].to_pylist().count(SHE)
    return Findings(at_rest=Exposure(people=1, records=left, segments=1, canaries=0))


def _attack(company: Company, off: tuple[str, ...], *, trains: bool) -> Exposure:
    told: dict[str, Any] = {}
    wrong: list[str] = []
    home, backups = company.home.path, [company.folder / "backup-0", company.folder / "backup-1"]
    her = ids_of(company)[SHE]
    shutil.copytree(home, backups[0])
    with company.keeper() as client:
        client.call("feature", purpose=PURPOSE)
        if trains:
            _train(company, client)
    shutil.copytree(home, backups[1])
    before = open_raw(company).get(her, 0)
    if not before:
        wrong.append("nothing of her opened before either")
    with company.keeper(off=off) as client:
        answer = client.call("people.erase", person=SHE, evidence="a letter of hers")
    _receipt(company, answer, told, wrong, trains=trains)
    records = open_raw(company).get(her, 0)
    told["rows before, after"] = [before, records]
    for number, backup in enumerate(backups):
        restored = open_raw(company, home=backup)
        told[f"backup {number}: hers, others'"] = [
            restored.get(her, 0),
            sum(restored.values()) - restored.get(her, 0),
        ]
        records += restored.get(her, 0)
    kept = company.folder / "as-it-was"
    home.rename(kept)
    shutil.copytree(backups[1], home)
    with suppress(SafeholdError), company.keeper(off=off) as client:
        told["a keeper starts on a backup"] = True
        wrong.append("a keeper starts on a home from before an erasure")
    told.setdefault("a keeper starts on a backup", False)
    return Exposure(
        people=int(records > 0),
        records=records,
        segments=int(records > 0),
        canaries=0,
        wrong=tuple(wrong),
        told=told,
    )  # fmt: skip


def _receipt(
    company: Company,
    answer: dict[str, Any],
    told: dict[str, Any],
    wrong: list[str],
    *,
    trains: bool,
) -> None:
    """Check what she is given: offline, in time, and with the state of everything made from her."""
    file: Path = company.folder / "erasure.receipt"
    file.write_text(answer.get("receipt") or "", "utf-8")
    try:
        verify_erasure(file, company.home.policy_file)
    except VerificationError:
        wrong.append("the receipt of the erasure does not verify")
    effects = answer["effects"]
    told["effects"] = sorted({f"{one['kind']}: {one['status']}" for one in effects})
    told["hours"] = round((answer["done_us"] - answer["asked_us"]) / HOUR_US, 3)
    kinds = {one["kind"] for one in effects}
    needed = {"source", "feature"} | ({"model"} if trains else set())
    if not needed <= kinds:
        wrong.append(f"the receipt lacks {', '.join(sorted(needed - kinds))}")
    if any(one["status"] not in STATES for one in effects):
        wrong.append("something in the receipt has no state")
    if answer["late"]:
        wrong.append("the erasure came late")


def _train(company: Company, client: KeeperClient) -> None:
    """Train a model on everybody, her among them."""
    key = SigningKey.generate()
    grant = draft_grant(
        company.charter, requester="ana", purpose=PURPOSE, reason="ticket 1: a drill", holder=key, minutes=60
    )  # fmt: skip
    holder = company.permit(client, grant, key)
    use(client, holder, "train", PURPOSE)


__all__ = ["attempt", "control", "lake", "without_shredding"]
