"""A home as a company has it that outgrew one machine, with everything around it, behind lines that can be cut.

PostgreSQL holds journal and control database, a bucket the sealed objects, and envelopes come through a queue or over
HTTP; two keepers, a portal, and a monitor that follows the ledger. Each server is on an island of its own (``network``).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.network import Island, left_over, require_islands
from tests.chaos.papers import Authority
from tests.chaos.parts import Program, answers, free_port
from tests.chaos.servers import Database, Queue, Store
from tests.command_line import CHARTERS, World
from tests.nats import find_program as find_nats
from tests.postgres import find_programs
from tests.seaweed import find_program

from safehold.errors import SafeholdError
from safehold.keeper.client import KeeperClient
from safehold.settings import Home
from safehold.signing import SigningKey

ROOT = Path(__file__).resolve().parents[2]
BASE = "safehold"  # name of the database
READERS = {"read0": "engineer", "read1": "data_scientist", "read2": "auditor"}


@dataclass
class Site:
    """Everything that runs.

    Args:
        root: Folder of all of it; nothing readable may ever lie below it but in ``incoming``.
        world: The home, and commands on it.
        islands: By the name of the server on each.
        database: PostgreSQL.
        store: SeaweedFS.
        queue: NATS.
        programs: The processes of the product, by name.
        readers: Keys of people who ask the portal.
        port: Of the portal.
        front_port: Of the front for devices.
    """

    root: Path
    world: World
    islands: dict[str, Island]
    database: Database
    store: Store
    queue: Queue
    programs: dict[str, Program] = field(default_factory=dict)
    readers: dict[str, SigningKey] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    front_port: int = field(default_factory=free_port)

    @property
    def incoming(self) -> Path:
        """Files that are taken in: the one place where something readable lies."""
        return self.root.parent / f"{self.root.name}-incoming"

    @property
    def releases(self) -> Path:
        """What the instrument in the keepers notes."""
        return self.root / "releases.jsonl"

    @property
    def home(self) -> Home:
        (outside,) = (self.root / "outside").glob("home_*")
        return Home(self.world.home, outside.name, outside, False)

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    def line(self, first: str = "") -> KeeperClient:
        """Return a line to the keepers; the named one is tried first."""
        sockets = [self.home.socket_of(name) for name in ("", "b")]
        sockets.sort(key=lambda one: one != self.home.socket_of(first))
        return KeeperClient(*sockets)

    def leader(self) -> str:
        """Return the name of the keeper that said last that it leads."""
        said = self.home.leader_file.read_text("ascii").strip()
        return "keeper-b" if said == "keeper-b.sock" else "keeper-a"

    @property
    def front(self) -> str:
        """URL of the front for devices."""
        return f"http://127.0.0.1:{self.front_port}"

    @property
    def queue_key(self) -> Path:
        """The key that opens covers; its public half lies beside it."""
        return self.root / "queue.key"

    def servers(self) -> dict[str, Database | Store | Queue]:
        return {"database": self.database, "store": self.store, "queue": self.queue}

    def families(self) -> dict[str, list[int]]:
        """Return the processes of every part, the first one of each first."""
        found = {name: one.family() for name, one in self.programs.items()}
        return found | {name: one.family() for name, one in self.servers().items()}

    def start(self) -> None:
        """Start everything that is the product's."""
        self.programs |= {
            "keeper-a": self._keeper("keeper-a", ""),
            "keeper-b": self._keeper("keeper-b", "b"),
        }
        self.programs["keeper-a"].start()
        self.programs["keeper-b"].start()
        line = self.line()
        for name, role in READERS.items():
            self.readers[name] = key = SigningKey.generate()
            names = [f"key:{key.public.text()}"]
            line.call("principal.enrol", principal=name, kind="human", role=role, names=names)
        line.call("ledger.publish")
        self.programs |= {
            "portal": self._portal(),
            "front": self._front(),
            "consumer": self._consumer(),
            "monitor": self._monitor(),
        }
        late = ("portal", "front", "consumer", "monitor")
        for name in late:
            self.programs[name].begin()
        for name in late:
            self.programs[name].wait()

    def _keeper(self, name: str, own: str) -> Program:
        words = ("serve", "--drill", "off", *(("--name", own) if own else ()))
        socket = self.home.socket_of(own)
        module = ("tests.chaos.probe", str(self.releases))
        return self._program(name, *words, hears=lambda: hears(KeeperClient(socket)), module=module)

    def _portal(self) -> Program:
        words = ("portal", "serve", "--origin", self.url, "--bind", f"localhost:{self.port}",
                 "--state", self.root / "portal")  # fmt: skip
        return self._program("portal", *words, hears=lambda: answers(self.port))

    def _front(self) -> Program:
        words = ("ingest", "serve", "--bind", f"127.0.0.1:{self.front_port}", "--rate", "0")
        return self._program("front", *words, hears=lambda: answers(self.front_port))

    def _consumer(self) -> Program:
        place = self.queue.place_of("consumer")
        words = ("ingest", "consume", "--size", "64", "--queue", place.url, "--name", place.name, "--key", self.queue_key,
                 "--authority", place.authority, "--certificate", place.certificate,
                 "--certificate-key", place.key)  # fmt: skip
        public = self.queue_key.with_name(self.queue_key.name + ".pub")
        return self._program("consumer", *words, hears=public.exists)

    def _monitor(self) -> Program:
        state = self.root / "watched"
        words = ("ledger", "monitor", self.world.home / "ledger", "--policy", self.home.policy_file,
                 "--state", state, "--follow", "--every", "5")  # fmt: skip
        return self._program("monitor", *words, hears=state.exists)

    def _program(
        self,
        name: str,
        *words: object,
        hears: Callable[[], bool],
        module: tuple[str, ...] = ("safehold",),
    ) -> Program:
        return Program(
            name,
            [sys.executable, "-m", *module, *map(str, words)],
            environment=self._environment(),
            folder=self.root,
            hears=hears,
        )

    def _environment(self) -> dict[str, str]:
        found = self.world.environment
        return {**found, "PYTHONPATH": f"{found['PYTHONPATH']}:{ROOT}"}

    def stop(self) -> dict[str, int]:
        """End what is the product's as whoever runs it does; return how each ended."""
        return {name: one.stop() for name, one in reversed(self.programs.items())}

    def fall(self) -> None:
        """End everything of the product at once, and heal every line."""
        for island in self.islands.values():
            island.heal()
        for program in self.programs.values():
            program.kill()


@contextmanager
def site_at(root: Path) -> Iterator[Site]:
    """Yield a site whose servers run; everything of it is gone afterwards, however that comes.

    Raises:
        AssertionError: Something was left over.
    """
    require_islands()
    programs, weed, nats = find_programs(), find_program(), find_nats()
    root.mkdir(parents=True)
    with ExitStack() as undo:
        papers = Authority(root / "papers")
        islands = {}
        for name in ("database", "store", "queue"):
            islands[name] = Island(name[:4])
            undo.callback(islands[name].remove)
        database = Database(programs, islands["database"], papers)
        undo.callback(database.remove)
        store = Store(weed, islands["store"], papers)
        undo.callback(store.remove)
        queue = Queue(nats, islands["queue"], papers)
        undo.callback(queue.remove)
        more = {
            "AWS_SHARED_CREDENTIALS_FILE": str(store.credentials),
            "SSL_CERT_FILE": str(papers.file),
        }
        world = World(root, extra=more)
        site = Site(root, world, islands, database, store, queue)
        site.incoming.mkdir()
        undo.callback(site.fall)
        url = database.place(BASE)
        bucket = store.url(store.bucket(), store.prefix())
        words = ("--charter", CHARTERS / "demo.yaml", "--ledger-url", url, "--control", url)
        world.run("init", "--seats", world.seats, *words, "--objects", bucket)
        yield site
    assert not left_over(), left_over()


def hears(line: KeeperClient) -> bool:
    """Return whether a keeper answers for the home."""
    try:
        line.call("people.count")
    except SafeholdError:
        return False
    return True
