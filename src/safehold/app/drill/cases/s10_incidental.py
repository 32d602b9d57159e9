"""S10: what nobody meant to record. Prompts, messages, windows and keys carry planted secrets of known owners.

They come in as any file does, features are built from them, and then everything that was stored is opened with the
root and searched. What is found is the residual: recall is told class by class with its interval, never as "filtered".
Of credentials nothing may be stored.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import pyarrow.parquet as pq

from safehold.app.drill.cases.opened import open_all, texts_of
from safehold.app.drill.company import PURPOSE, Company, take_file
from safehold.app.drill.place import Place
from safehold.app.drill.unguarded import replace
from safehold.assurance.drill.outcome import Exposure, Findings
from safehold.keeper.client import KeeperClient
from safehold.keeper.terms import streams_of
from safehold.telemetry.stream import Level
from safehold.workforce import Spec, truth, write_files

CREDENTIALS: Final = frozenset({"PASSWORD", "SECRET", "OTP"})
SHORTEST: Final = 4  # characters: what is shorter stands in any text
SEED: Final = 11
Z: Final = 1.959964  # of 95 %
Plants = Sequence[tuple[str, str, str]]  # person, class, value


def attempt(place: Place) -> Findings:
    """Bring secrets in, and search for them in everything that was stored."""
    company = place.company("s10")
    with company.keeper() as client:
        planted, tally = _bring(company, client)
    return _search(company, planted, tally)


def control(place: Place) -> Findings:
    """The same where next to nothing is masked."""
    company = place.company("s10-control")
    with company.keeper(off=[f"{__name__}:without_masking"]) as client:
        planted, tally = _bring(company, client)
    return _search(company, planted, tally)


def without_masking() -> None:
    """Tell sandboxes to mask next to nothing and to reduce nothing, and let nobody compare that with the charter."""

    def everything(charter: Any) -> dict[str, dict[str, Any]]:
        return {
            name: rules
            | {
                "level": int(Level.L0),
                "groups": ["work_inferences"],  # none at all would mean all of them
                "drop": [],
                "apps": None,
                "channels": ["direct", "private", "public"],
            }
            for name, rules in streams_of(charter).items()
        }

    replace("safehold.keeper.intake:streams_of", everything)
    replace("safehold.keeper.drift:Drift.require_none", lambda *_: None)


def lake(place: Place) -> Findings:
    """The same files as tables."""
    folder = place.bin("s10-lake")
    spec = Spec(people=60, days=1, seed=SEED, pace=200, start_day=20_000)
    planted = _planted(spec)
    found: set[tuple[str, str, str]] = set()
    for file in write_files(spec, folder):
        table = pq.ParquetFile(file).read()
        if "kind" in table.column_names and file.stem == "key":
            continue  # keys have to be put together first; what is asked here needs no such work
        text = "\n".join(texts_of(file.stem, table))
        found |= {one for one in planted if one[2] in text}
    return Findings(
        live=Exposure(
            people=len({person for person, _, _ in found}),
            records=len(found),
            segments=3,
            canaries=sum(kind in CREDENTIALS for _, kind, _ in found),
            told={"planted": len(planted)},
        )
    )


def _planted(spec: Spec) -> list[tuple[str, str, str]]:
    table = truth(spec).select(["person", "class", "value", "decoy"])
    return [
        (row["person"], row["class"], row["value"])
        for row in table.to_pylist()
        if not row["decoy"] and len(row["value"]) >= SHORTEST
    ]


def _bring(company: Company, client: KeeperClient) -> tuple[Plants, dict[str, Counter[str]]]:
    """Take in another day of the same people, under sessions of its own."""
    spec = Spec(**company.spec.to_spec() | {"seed": SEED})
    folder = company.temporary / "s10"
    sums = {name: Counter[str]() for name in ("masked", "dropped")}
    for file in write_files(spec, folder, "jsonl"):
        file.write_bytes(file.read_bytes().replace(b'"ses-', b'"s10-'))
        tally = take_file(client, file)["tally"]
        for name, total in sums.items():
            total.update(tally.get(name, {}))
        file.unlink()
    client.call("feature", purpose=PURPOSE)
    return _planted(spec), sums


def _search(company: Company, planted: Plants, tally: dict[str, Counter[str]]) -> Findings:
    text: dict[str, list[str]] = {}
    for person, stream, table in open_all(company):
        text.setdefault(person, []).extend(texts_of(stream, table))
    whole = {person: "\n".join(parts) for person, parts in text.items()}
    left = [one for one in planted if one[2] in whole.get(one[0], "")]
    of, kept = Counter(kind for _, kind, _ in planted), Counter(kind for _, kind, _ in left)
    credentials = sum(kept[kind] for kind in CREDENTIALS)
    recall = {
        kind: [of[kind] - kept[kind], of[kind], *wilson(of[kind] - kept[kind], of[kind])]
        for kind in sorted(of)
    }
    out = len(planted) - len(left)
    return Findings(
        at_rest=Exposure.none(looked="see S02: what lies there is ciphertext"),
        live=Exposure(
            people=len({person for person, _, _ in left}),
            records=len(left),
            segments=int(bool(left)),
            canaries=credentials,
            wrong=(f"{credentials} credentials were stored",) if credentials else (),
            told={
                "planted": len(planted),
                "kept out, of, 95 % from, to": {"all": [out, len(planted), *wilson(out, len(planted))], **recall},
                "residual": dict(sorted(kept.items())),
                "masked": sum(tally["masked"].values()),
                "dropped": dict(sorted(tally["dropped"].items())),
            },
        ),
    )  # fmt: skip


def wilson(good: int, of: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson 1927); from 0 to 1 if there was nothing."""
    if not of:
        return 0.0, 1.0
    share, z2 = good / of, Z * Z
    middle = (share + z2 / (2 * of)) / (1 + z2 / of)
    half = Z * math.sqrt(share * (1 - share) / of + z2 / (4 * of * of)) / (1 + z2 / of)
    return round(max(middle - half, 0.0), 3), round(min(middle + half, 1.0), 3)


__all__ = ["attempt", "control", "lake", "wilson", "without_masking"]
