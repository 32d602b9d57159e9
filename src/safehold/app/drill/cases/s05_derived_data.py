"""S05 derived data (F4): an employee reads features, models, caches, temporary files, logs, errors; after a crash too.

In a lake derived tables are open. Safehold must show 0 canaries in any store, log line, error or temporary file.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from safehold.app.drill.lake import write_table
from safehold.app.drill.place import Place
from safehold.app.drill.twin import PURPOSE, Twin, serve, take_in
from safehold.assurance.drill.outcome import Findings, merge
from safehold.errors import SafeholdError
from safehold.keeper.client import KeeperClient
from safehold.settings import Home

OFF = (
    "safehold.app.drill.guards:without_sealing",
    "safehold.app.drill.guards:without_minimising",
)
SAID: Final = "said"  # folder of what commands printed
COMMANDS: Final = (
    ("status",),
    ("dataset", "list"),
    ("artifact", "list"),
    ("ledger", "tail"),
    ("source", "list"),
    ("budget", "show"),
    ("doctor",),
)
CRASH_S: Final = 1.5  # seconds of work before the keeper is made to crash


def attempt(place: Place) -> Findings:
    """Search the deployment; on a twin let commands speak, spoil a source, crash a keeper, and search it all."""
    deployed = place.home_scanner.look(_places(place.home))
    twin = place.twin("derived")
    said = twin.folder / SAID
    said.mkdir()
    _let_speak(twin, said)
    spoiled = _spoil_a_source(place)
    _crash(twin)
    seen = place.scanner.look([twin.folder, spoiled.folder])
    dumps = _dumps(twin)
    wrong = (f"{dumps} memory dumps were written",) if dumps else ()
    found = merge((deployed.exposure(deployment_files=deployed.files), seen.exposure(dumps=dumps)))
    return Findings(at_rest=replace(found, wrong=wrong))


def lake(place: Place) -> Findings:
    """Make what such a lake derives, a table of words for each person and day, and read it as somebody else."""
    warehouse = place.plain_lake.folder
    derived = warehouse.parent / "derived"
    if not derived.exists():
        for file in sorted(warehouse.glob("*/*/*.parquet")):
            if file.parts[-3] in {"ai", "chat"}:
                _derive(file, derived / file.parts[-3] / file.parts[-2])
        for folder in (derived, *(one for one in derived.rglob("*") if one.is_dir())):
            folder.chmod(0o755)
    return Findings(live=place.plain_lake.read(derived))


def control(place: Place) -> Findings:
    """The same search of a twin that minimised and sealed nothing, neither what came in nor what was made of it."""
    with place.served("derived-unsealed", bare=True, off=OFF) as (twin, client):
        take_in(client, twin.spec)
        with contextlib.suppress(SafeholdError):
            client.call("feature", purpose=PURPOSE)
    return Findings(at_rest=place.scanner.look(_places(twin.home)).exposure())


def _places(home: Home) -> list[Path]:
    return [home.path, home.outside, Path(tempfile.gettempdir()) / home.id]


def _let_speak(twin: Twin, said: Path) -> None:
    """Keep what commands of an operator print."""
    with twin.keeper():
        for words in COMMANDS:
            done = twin.cli(*words, "--json")
            (said / "-".join(words)).write_text(done.out + done.err, "utf-8")


def _spoil_a_source(place: Place) -> Twin:
    """Hand over a file whose rows hold planted values and are broken; what is refused must not be repeated."""
    twin = place.strict_twin.copy(place.folder("spoiled"))
    rows = [{"person": "emp-00001", "t": one, "text": one, "channel": one} for one in place.values]
    text = "\n".join(json.dumps(one) for one in rows) + "\n{" + place.values[0]
    file = twin.folder / "raw.jsonl"
    file.write_text(text, "utf-8")
    said = twin.folder / SAID
    with twin.keeper() as client, file.open("rb") as handle:
        source = {"kind": "file", "name": file.name}
        try:
            answer = client.call("ingest", descriptors=[handle.fileno()], source=source)
            said.write_text(json.dumps(answer), "utf-8")
        except SafeholdError as error:
            said.write_text(json.dumps(error.payload()), "utf-8")
    done = twin.cli("source", "preview", file, "--json")
    with said.open("a", encoding="utf-8") as more:
        more.write(done.out + done.err)
    file.unlink()
    return twin


def _crash(twin: Twin) -> None:
    """Make the keeper crash while it works, the way that leaves a memory dump where dumps are written."""
    order = {"secret": {"passphrase": twin.passphrase}}
    with contextlib.suppress(SafeholdError), serve(twin, "safehold.app.keeper", order) as process:
        client = KeeperClient(twin.home.socket)
        work = threading.Thread(target=_work, args=(client,), daemon=True)
        work.start()
        time.sleep(CRASH_S)
        os.kill(process.pid, signal.SIGABRT)
        work.join(60)


def _work(client: KeeperClient) -> None:
    with contextlib.suppress(SafeholdError):
        client.call("feature", purpose=PURPOSE)


def _dumps(twin: Twin) -> int:
    """Return how many memory dumps lie where the keeper worked."""
    return sum(
        one.name.startswith("core") and one.is_file()
        for folder in (twin.folder, Path.cwd(), Path("/var/crash"))
        if folder.is_dir()
        for one in folder.glob("core*")
    )


def _derive(file: Path, folder: Path) -> None:
    table = pq.ParquetFile(file).read()
    texts = [one for one in table["text"].to_pylist() if one]
    folder.mkdir(parents=True, exist_ok=True)
    summary = pa.table(
        {
            "person": [table["person"][0].as_py()],
            "messages": [len(texts)],
            "text": [" ".join(texts)],
        }
    )
    target = folder / file.name
    write_table(summary, target)
    target.chmod(0o644)


__all__ = ["attempt", "control", "lake"]
