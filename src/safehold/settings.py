"""Where one Safehold home lies, inside and outside.

A *home* (H) is the directory that may be backed up, copied and stolen. Its *outside* holds what must never
travel with it: the witness and its head, the trust policy, the epoch secrets and the keeper's socket. So a
full copy of H, even with the live root, opens nothing that has ended, and cannot pretend to be the newest.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from safehold import canonical, ids
from safehold.errors import ConflictError, InvalidError, MissingError, TamperedError

VERSION = "safehold-home/1"


@dataclass(frozen=True, slots=True)
class Home:
    """The places of one home.

    Args:
        path: The home itself.
        id: Its random name.
        outside: The directory outside it.
        synthetic: True if it was made for made-up people only.
    """

    path: Path
    id: str
    outside: Path
    synthetic: bool

    @property
    def origin(self) -> str:
        """Name of the home's log."""
        return f"safehold.local/{self.id}/audit"

    @property
    def ledger(self) -> Path:
        """Exported tiles, and the journal unless it lies in a database."""
        return self.path / "ledger"

    @property
    def index(self) -> Path:
        """Trees of the ledger's closed epochs, sealed; each may be deleted."""
        return self.path / "index"

    @property
    def objects(self) -> Path:
        """Sealed objects."""
        return self.path / "objects"

    @property
    def documents(self) -> Path:
        """Published texts about the charter: notice, record of processing, assessments."""
        return self.path / "documents"

    @property
    def control(self) -> Path:
        """The control database, opened by the keeper alone, unless it lies in PostgreSQL."""
        return self.path / "control.db"

    @property
    def control_url_file(self) -> Path:
        """Names the database that holds the control tables, if one does; outside the home."""
        return self.outside / "control-url"

    @property
    def sentinel_file(self) -> Path:
        """What the sentinel has learnt and how far it has read, sealed by the keeper; it may be deleted."""
        return self.path / "sentinel"

    @property
    def answers_file(self) -> Path:
        """Says which alerts the sentinel only reports, if somebody chose; outside the home."""
        return self.outside / "sentinel.json"

    @property
    def root_file(self) -> Path:
        """The sealed root key."""
        return self.path / "root.sealed"

    @property
    def next_root_file(self) -> Path:
        """The root that is to come, while it is being changed."""
        return self.path / "root.next"

    @property
    def retired_root_file(self) -> Path:
        """The root that was, until it is overwritten."""
        return self.path / "root.retired"

    @property
    def root_lock_file(self) -> Path:
        """Held by whoever changes the root files; outside the home."""
        return self.outside / "root.lock"

    @property
    def root_places_file(self) -> Path:
        """Where the key of a root that stays elsewhere may be; outside the home."""
        return self.outside / "root-places"

    @property
    def turns(self) -> Path:
        """Changes of keys that have begun, one small file each; outside the home."""
        return self.outside / "turns"

    @property
    def roster_file(self) -> Path:
        """The signed roster of board seats."""
        return self.path / "roster.json"

    @property
    def names_file(self) -> Path:
        """Says which names are masked when data comes in, if somebody chose; see ``keeper.names``."""
        return self.path / "names.json"

    @property
    def charter_file(self) -> Path:
        """The charter in force, with its signatures."""
        return self.path / "charter.json"

    @property
    def witness(self) -> Path:
        """State of the local witness, outside the home."""
        return self.outside / "witness"

    @property
    def policy_file(self) -> Path:
        """The tlog-policy that says whose signatures count, outside the home."""
        return self.outside / "policy"

    @property
    def monitor(self) -> Path:
        """What the home's own monitor has seen, outside the home."""
        return self.outside / "monitor"

    @property
    def anchors(self) -> Path:
        """Which anchors are used, and their receipts, outside the home."""
        return self.outside / "anchors"

    @property
    def witnesses_file(self) -> Path:
        """Which witnesses there are besides the local one, and how many must cosign; outside the home."""
        return self.outside / "witnesses.json"

    @property
    def drawn_witnesses_file(self) -> Path:
        """A list of witnesses that the board has not named yet; outside the home."""
        return self.outside / "witnesses.next"

    @property
    def ledger_url_file(self) -> Path:
        """Names the database that holds the journal, if one does; outside the home."""
        return self.outside / "ledger-url"

    @property
    def objects_url_file(self) -> Path:
        """Names the bucket that holds the sealed objects, if one does; outside the home."""
        return self.outside / "objects-url"

    @property
    def moving_file(self) -> Path:
        """What is being moved from where to where, while it is; no keeper starts meanwhile; outside the home."""
        return self.outside / "moving"

    @property
    def restoring_file(self) -> Path:
        """Which backup is being put back and where to, while it is; no keeper starts meanwhile; outside the home."""
        return self.outside / "restoring"

    @property
    def left_file(self) -> Path:
        """Places that a move has left behind, until they are removed; outside the home."""
        return self.outside / "left"

    @property
    def moved(self) -> Path:
        """Databases and objects that were files of the home until they were moved; no keeper opens them."""
        return self.path / "moved"

    @property
    def incoming(self) -> Path:
        """Databases that are being moved into the home, until they are whole."""
        return self.path / "incoming"

    @property
    def proved_file(self) -> Path:
        """Names the policy that was proved last, by which program; outside the home."""
        return self.outside / "proved"

    @property
    def keeper_key(self) -> Path:
        """The key with which the keeper signs leases and gap records, outside the home."""
        return self.outside / "keeper.pub"

    @property
    def workers_file(self) -> Path:
        """Says on which workers sandboxes run, if not on this machine; outside the home."""
        return self.outside / "workers.json"

    @property
    def targets_file(self) -> Path:
        """Where findings are sent, if anywhere; outside the home."""
        return self.outside / "targets.toml"

    @property
    def exports(self) -> Path:
        """What waits to be sent, one folder a target; outside the home."""
        return self.outside / "exports"

    @property
    def session_file(self) -> Path:
        """The session of whoever signed in on this machine, outside the home; its owner's alone."""
        return self.outside / "session"

    @property
    def epochs(self) -> Path:
        """Epoch secrets, outside the home and outside every backup set."""
        return self.outside / "epochs"

    @property
    def socket(self) -> Path:
        """The keeper's Unix socket."""
        return self.socket_of("")

    def socket_of(self, name: str) -> Path:
        """The socket of a keeper that stands by under a name; without one, that of the first.

        Raises:
            InvalidError: The name is not 1 to 16 small letters and digits.
        """
        if name and not (name.isascii() and name.isalnum() and name.islower() and len(name) <= 16):
            raise InvalidError(
                "a keeper's name has 1 to 16 small letters and digits", rule="keeper.name"
            )
        return self.outside / (f"keeper-{name}.sock" if name else "keeper.sock")

    @property
    def sockets(self) -> list[Path]:
        """The sockets of all keepers of this home, that of the first one first."""
        return [self.socket, *sorted(self.outside.glob("keeper-*.sock"))]

    @property
    def lead_file(self) -> Path:
        """Held by the keeper that leads where no database says who does; outside the home."""
        return self.outside / "lead.lock"

    @property
    def leader_file(self) -> Path:
        """Names the keeper that leads, for those that stand by; outside the home."""
        return self.outside / "leader"

    @classmethod
    def create(cls, path: Path, *, synthetic: bool = False) -> Home:
        """Make an empty home and its outside.

        Raises:
            ConflictError: The directory is a home already, or holds other files.
            InvalidError: Its outside would lie inside it.
        """
        path = path.resolve()
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.chmod(0o700)  # it may have been there before, open to others
        if any(path.iterdir()):
            raise ConflictError(
                f"{path.name} is not empty", rule="home.empty", fix="choose a new directory"
            )
        home = cls(path, name := ids.opaque_id("home"), _outside(name), synthetic)
        if home.outside.resolve().is_relative_to(path):
            raise InvalidError(
                "the outside of this home would lie inside it",
                rule="home.outside",
                fix="let SAFEHOLD_OUTSIDE name a place that does not travel with the home",
            )
        home.outside.mkdir(parents=True, mode=0o700)
        for folder in (home.ledger, home.objects, home.witness, home.epochs):
            folder.mkdir(mode=0o700)
        _write_new(
            path / "home.json",
            canonical.encode({"v": VERSION, "id": name, "synthetic": synthetic}),
        )
        pin = _pin(path)
        pin.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        pin.write_text(name, "ascii")
        return home

    def discard(self) -> None:
        """Take back a home that was just made and could not be finished, with its outside.

        For ``create``'s caller alone: a home that ever held anything ends otherwise.
        """
        _pin(self.path).unlink(missing_ok=True)
        shutil.rmtree(self.outside, ignore_errors=True)
        for item in self.path.iterdir():
            if item.is_dir() and not item.is_symlink():
                shutil.rmtree(item, ignore_errors=True)
            else:
                item.unlink()

    @classmethod
    def open(cls, path: Path) -> Home:
        """Find a home made by ``create``.

        Raises:
            MissingError: The directory is no home.
            TamperedError: Another home stood here before, or nothing outside vouches for this one.
        """
        path = path.resolve()
        try:
            record = canonical.decode((path / "home.json").read_bytes())
        except (FileNotFoundError, NotADirectoryError) as error:
            if _pin(path).exists():
                raise TamperedError(
                    f"{path.name} was a home and has lost its record", rule="home.pinned"
                ) from error
            raise MissingError(
                f"{path.name} is no Safehold home", rule="home.exists", fix="safehold init"
            ) from error
        except InvalidError as error:
            raise TamperedError("the home record is damaged", rule="home.record") from error
        match record:
            case {"v": "safehold-home/1", "id": str(name), "synthetic": bool(synthetic)}:
                pass
            case _:
                raise TamperedError("the home record is damaged", rule="home.record")
        if not name.replace("_", "").isalnum():
            raise TamperedError("the home record is damaged", rule="home.record")
        pin = _pin(path)
        if pin.exists() and pin.read_text("ascii") != name:
            raise TamperedError(
                f"{path.name} is not the home that stood here before", rule="home.pinned"
            )
        home = cls(path, name, _outside(name), synthetic)
        if not home.outside.is_dir():
            raise TamperedError(
                f"nothing outside vouches for {path.name}",
                rule="home.outside",
                fix="set SAFEHOLD_OUTSIDE to where this home's outside directory lies",
            )
        return home


def state_directory() -> Path:
    """Return the folder that holds the outside of every home."""
    if named := os.environ.get("SAFEHOLD_OUTSIDE"):
        return Path(named).resolve()
    state = os.environ.get("XDG_STATE_HOME")
    base = Path(state) if state else Path.home() / ".local" / "state"
    return base / "safehold"


def _outside(name: str) -> Path:
    return state_directory() / name


def _pin(path: Path) -> Path:
    mark = hashlib.sha256(os.fsencode(path)).hexdigest()[:32]
    return state_directory() / "pins" / mark


def _write_new(path: Path, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
