"""How much lies open: rows that somebody without a grant gets, and segments that one stolen grant shows."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from safehold.access import AccessRequest, authorise
from safehold.access.claims import Claims
from safehold.access.principal import Agent, Human, Principal
from safehold.assurance.drilled import (
    NIGHT_US,
    NIGHTLY,
    WEEK_US,
    WEEKLY,
    count_drilled,
    worse_of,
)
from safehold.assurance.measured import Measured
from safehold.assurance.reach import reachable
from safehold.canonical import b64
from safehold.charter import Charter
from safehold.charter.value import MICRO
from safehold.charter.vocabulary import ROWS, STAGES
from safehold.clock import DAY_US
from safehold.errors import SafeholdError
from safehold.ids import random_bytes
from safehold.keeper.verbs import Verbs
from safehold.signing import SigningKey
from safehold.telemetry.schema import REST
from safehold.telemetry.stream import WHAT_TO_STREAM, segment_name

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

TRYING_S: Final = 3600  # longest that every file is tried as another user
SAMPLE: Final = 64  # sealed objects that are tried to be read
_REACH: Final = """
import os, socket, sys
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
reached = 0
for place in sys.argv[2:]:
    for folder, _, files in os.walk(place):
        for name in files:
            try:
                open(os.path.join(folder, name), 'rb').close()
                reached += 1
            except OSError:
                pass
try:
    socket.socket(socket.AF_UNIX).connect(sys.argv[1])
    reached += 1
except OSError:
    pass
print(reached)
"""


def count_open_records(verbs: Verbs) -> Measured:
    """Measure ``replay.any_employee_records``: rows somebody without a grant gets, from a door or from a file.

    What the newest drill had of S01 counts beside, and the worse of the two stands.
    """
    return worse_of(_count_open_records(verbs), count_drilled(verbs, "records", NIGHTLY, NIGHT_US))


def _count_open_records(verbs: Verbs) -> Measured:
    desk, rows, doors = verbs.desk, 0, 0
    train = verbs.table()["train"]
    for purpose in desk.trust.charter().purposes:
        for token in ("", b64(random_bytes(256))):
            doors += 1
            nonce = verbs.table()["nonce"]({}, (), _silent)["nonce"]
            asked = {"purpose": purpose, "token": token, "nonce": nonce, "proof": b64(bytes(64))}
            try:
                train(asked, (), _silent)
            except SafeholdError:
                continue
            rows += 1
    files = _sample(desk.home.objects)
    rows += sum(_readable_rows(file) for file in files)
    reached, how = _reach_as_nobody(desk)
    found = rows + (reached or 0)
    return Measured(
        # what could not be tried is no zero; what was found all the same counts
        micro=None if reached is None and not found else found * MICRO,
        sentence=(
            f"{doors} requests were made without a grant, {len(files)} stored objects were read as they"
            f" lie, {how}"
        ),
    )


def _reach_as_nobody(desk: Desk) -> tuple[int | None, str]:
    """Return how many files and doors of the home another user reaches, if that can be told, and how it was tried."""
    if os.geteuid() != 0:
        reached = len(set(reachable([desk.home.path, desk.home.outside, desk.home.socket])))
        return reached, (
            "and the modes of every file and of the socket were read, since only root can try them as another user"
        )
    places = [desk.home.path, desk.home.outside]
    tried = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _REACH, str(desk.home.socket), *map(str, places)],
        cwd="/",
        capture_output=True,
        check=False,
        env={},
        timeout=TRYING_S,
    )
    if tried.returncode != 0 or not tried.stdout.strip().isdigit():
        return None, "and nothing could be tried as another user"
    return int(tried.stdout), "and another user of this machine tried every file and the socket"


def count_open_segments(verbs: Verbs) -> Measured:
    """Measure ``replay.max_segments_exposed``: segments whose rows one grant would show.

    The widest grant that the charter can give to each role is stolen, with its holder's key, and every action that
    shows rows is tried with it in every stage on every segment. What the newest drill had of S14, S15 and S25 counts
    beside, and the worse of the two stands.
    """
    return worse_of(_count_open_segments(verbs), count_drilled(verbs, "segments", WEEKLY, WEEK_US))


def _count_open_segments(verbs: Verbs) -> Measured:
    desk = verbs.desk
    charter, policy = desk.trust.charter(), desk.trust.policy()
    segments = [
        (segment_name(place, WHAT_TO_STREAM[item.what]), place, item.what)
        for place, item in product(charter.jurisdictions, charter.collect)
    ]
    most = tried = 0
    for principal, purpose, claims in _widest(desk, charter, [name for name, _, _ in segments]):
        shown: set[str] = set()
        for (segment, place, what), action, stage in product(segments, ROWS, STAGES):
            tried += 1
            try:
                authorise(
                    policy,
                    AccessRequest(
                        principal=principal,
                        action=action,
                        purpose=purpose,
                        stage=stage,
                        now_us=desk.now_us(),
                        segment=segment,
                        streams=(WHAT_TO_STREAM[what],),
                        purposes=(purpose,),
                        jurisdictions=(place,),
                        expires_us=desk.now_us() + DAY_US,
                        people=1_000_000,
                        consent=True,
                        synthetic=desk.home.synthetic,
                        assurance="E4",
                        claims=claims,
                        holder=claims.holder.text(),
                    ),
                )
            except SafeholdError:
                continue
            shown.add(segment)
        most = max(most, len(shown))
    return Measured(
        micro=most * MICRO,
        sentence=f"{tried} requests for rows were made with the widest grants there can be",
    )


def _widest(
    desk: Desk, charter: Charter, segments: list[str]
) -> Iterator[tuple[Principal, str, Claims]]:
    holder = SigningKey.generate().public
    for role, purpose in product(charter.who_may, charter.purposes):
        if charter.who_may[role].grant is None:
            continue
        principal: Principal = (
            Agent(id="thief", operator="thief") if role == "agent" else Human(id="thief", role=role)
        )
        yield (
            principal,
            purpose,
            Claims(
                grant="grt_probe",
                charter=desk.trust.digest().hex(),
                principal=principal,
                holder=holder,
                purpose=purpose,
                segments=frozenset(segments),
                streams=frozenset(WHAT_TO_STREAM.values()),
                columns=frozenset(
                    f"{stream}.{name}" for stream, schema in REST.items() for name in schema.names
                ),
                stages=frozenset(STAGES),
                recipes=frozenset(),
                people="",
                first_day=0,
                last_day=desk.today(),
                max_runs=1,
                max_rows=2**53 - 1,
                max_bytes=2**53 - 1,
                max_per_hour=1,
                epsilon_micro=2**53 - 1,
                depth=0,
                parent="",
                approvals=6,
                grant_expires_us=desk.now_us() + DAY_US,
                expires_us=desk.now_us() + DAY_US,
                revocation_ids=(),
            ),
        )


def _sample(folder: Path) -> list[Path]:
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    step = max(1, len(files) // SAMPLE)
    return files[::step][:SAMPLE]


def _readable_rows(file: Path) -> int:
    """Return how many rows a stored file shows to whoever reads it: as Arrow, or as lines of text."""
    data = file.read_bytes()
    try:
        return int(pa.ipc.open_stream(pa.py_buffer(data)).read_all().num_rows)
    except (pa.ArrowException, OSError, ValueError):
        pass
    try:
        return data.decode("utf-8").count("\n") + 1 if data else 0
    except UnicodeDecodeError:
        return 0


def _silent(_progress: Mapping[str, object]) -> None:
    """Take no note of progress."""
