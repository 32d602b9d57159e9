"""S25 out of one enclave (F1): code runs inside a sandbox and reaches for other segments, the network, other keys.

In a lake a job reads the whole lake. Safehold must show no more than its own segment, and 0 bytes out.
"""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from safehold.app.drill import levels, reader
from safehold.app.drill.holder import grant_code, segments_opened
from safehold.app.drill.place import Place
from safehold.app.drill.twin import PURPOSE, Twin
from safehold.assurance.drill.outcome import Exposure, Findings
from safehold.keeper.client import KeeperClient

OFF = (
    "safehold.app.drill.guards:without_bounds",
    "safehold.app.drill.guards:without_sandbox",
)
SEGMENT: Final = "us-ca.pointer"
PLACE: Final = "US-CA"
VERB: Final = "enclave.run"
# what runs inside: it counts what it was given, then reaches out; each way that works is one "match"
SCRIPT: Final = """# /// safehold
# streams = ["pointer"]
# counters = ["people", "rows", "files", "links", "programs"]
# seconds = 120
# ///
import os
import socket

import safehold_enclave as enclave

PLACES, PORT, DOOR = {places!r}, {port!r}, {door!r}


def way(attempt):
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1] == 0
    try:
        attempt()
    except BaseException:
        os._exit(1)
    os._exit(0)


def tcp():
    socket.create_connection(("127.0.0.1", PORT), 5).sendall(b"rows")


def udp():
    socket.socket(type=socket.SOCK_DGRAM).sendto(b"rows", ("127.0.0.1", PORT))


def door():
    socket.socket(socket.AF_UNIX).connect(DOOR)


def program():
    os.execv("/bin/true", ["true"])


def parent():
    os.kill(os.getppid(), 0)


def reach(path):
    def attempt():
        if not (os.listdir(path) if os.path.isdir(path) else open(path, "rb").read(1)):
            raise OSError
    return attempt


enclave.count("people", len(enclave.people()))
enclave.count("rows", enclave.table("pointer").num_rows)
enclave.count("files", sum(way(reach(path)) for path in PLACES))
enclave.count("links", sum(way(one) for one in (tcp, udp, door)))
enclave.count("programs", sum(way(one) for one in (program,)))
enclave.say("done")
"""


def attempt(place: Place) -> Findings:
    """Run it over one segment of a twin, with somebody listening outside, and search what the twin stores."""
    with place.served("enclave", fed=True) as (twin, client):
        live = _inside(twin, client)
    return Findings(at_rest=place.scanner.look([twin.folder / "home"]).exposure(), live=live)


def lake(place: Place) -> Findings:
    """Run a job in such a lake: it reads its own table, and then all others, as the account that all jobs share."""
    one = place.plain_lake
    job = subprocess.run(
        [sys.executable, "-P", str(Path(reader.__file__)), str(one.folder), str(one.needles)],
        capture_output=True,
        check=False,
        timeout=600,
    )
    found = json.loads(job.stdout)
    return Findings(
        live=Exposure(
            people=found["people"],
            records=found["records"],
            segments=found["tables"],
            canaries=found["canaries"],
        )
    )


def control(place: Place) -> Findings:
    """The same code where nothing is asked of what its grant covers, and its sandbox confines nothing."""
    with place.served("enclave-open", fed=True, off=OFF) as (twin, client):
        return Findings(live=_inside(twin, client))


def at_level(place: Place, level: str) -> Findings:
    """The same at a keeper that is kept as at a level."""
    with levels.served(place, level, fed=True) as (twin, client):
        live = _inside(twin, client)
    return Findings(at_rest=place.scanner.look([twin.folder / "home"]).exposure(), live=live)


def _inside(twin: Twin, client: KeeperClient) -> Exposure:
    home = twin.home
    begun = int(client.call("status")["ledger"]["size"])
    places = [
        str(one) for one in (home.path, home.outside, home.control, home.root_file, twin.folder)
    ]
    places += ["/proc/1/environ", "/etc/shadow", "/proc/self/maps"]
    with _listener() as (port, heard):
        script = SCRIPT.format(places=places, port=port, door=str(home.socket))
        one = grant_code(
            twin, client, "drill.coder", script=script.encode(), segment=SEGMENT, place=PLACE
        )
        answer = one.use(VERB, PURPOSE, stage=one.grant.stages[0], script=script)
        counts = answer["counts"]
    segments, _ = segments_opened(client, begun)
    wrong = [
        f"{counts[name]} {what}"
        for name, what in (
            ("files", "places outside the sandbox could be read"),
            ("links", "connections could be made"),
            ("programs", "programs could be started"),
        )
        if counts.get(name)
    ]
    if heard:
        wrong.append(f"{sum(heard)} bytes came out")
    return Exposure(
        people=int(counts["people"]),
        records=int(counts["rows"]),
        segments=len(segments),
        canaries=0,
        wrong=tuple(wrong),
        told={
            "opened": sorted(segments),
            "bytes_out": sum(heard),
            "level": answer.get("level", ""),
        },
    )


@contextmanager
def _listener() -> Iterator[tuple[int, list[int]]]:
    """Listen on this machine, and note how many bytes come."""
    heard: list[int] = []
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(type=socket.SOCK_DGRAM) as udp,
    ):
        port = int(tcp.getsockname()[1])
        with contextlib.suppress(OSError):
            udp.bind(("127.0.0.1", port))
        for one in (tcp, udp):
            one.settimeout(0.2)
        ended = threading.Event()

        def listen() -> None:
            while not ended.is_set():
                with contextlib.suppress(OSError):
                    link, _ = tcp.accept()
                    with link:
                        heard.append(len(link.recv(1 << 16)))
                with contextlib.suppress(OSError):
                    heard.append(len(udp.recv(1 << 16)))

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        try:
            yield port, heard
        finally:
            ended.set()
            thread.join()


__all__ = ["attempt", "control", "lake"]
