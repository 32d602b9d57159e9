"""The world an attack would like to reach, and the harness that says whether it did.

Run as a program it tries every attack and prints one JSON line each: so the same matrix runs as another
user.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path
from typing import Self

import pyarrow as pa

from safehold.errors import SafeholdError
from safehold.sandbox import channel
from safehold.sandbox.job import MIB, Job, Limits, Outcome
from safehold.sandbox.launch import Launcher
from safehold.sandbox.start import EVERYTHING

HERE = Path(__file__).resolve().parent
LIMITS = Limits(
    address_space=2 << 30,
    memory=256 * MIB,
    cpu=20,
    wall=120.0,  # a busy machine
    pids=48,
    egress=MIB,
    frame=MIB,
    stderr=64 * 1024,
)
libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p


def loosen(*without: str, recipes: dict[str, str] | None = None) -> Launcher:
    """A launcher that knows the attack recipe and lacks some mechanisms."""

    class Loose(Launcher):
        _recipes = recipes or {"attack": "sandbox_attacks"}
        _without = frozenset(without)
        _extra = (HERE,)

    assert Loose._without <= EVERYTHING
    return Loose()


class World:
    """Everything a job must not reach, all of it reachable by its user."""

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self._fill(stack)
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    def _fill(self, stack: contextlib.ExitStack) -> None:
        secret = f"secret-{uuid.uuid4().hex}"
        os.environ["SAFEHOLD_TEST_SECRET"] = secret
        stack.callback(os.environ.pop, "SAFEHOLD_TEST_SECRET")
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o777)
        (folder / "mount").mkdir()
        other = folder / "other-segment"
        other.write_text(secret)
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        udp.bind(("127.0.0.1", 0))
        threading.Thread(target=self._answer, args=(udp, secret), daemon=True).start()
        abstract = stack.enter_context(socket.socket(socket.AF_UNIX))
        abstract.bind("\0" + secret)
        abstract.listen(50)
        path = stack.enter_context(socket.socket(socket.AF_UNIX))
        path.bind(str(folder / "socket"))
        path.listen(50)
        victim = stack.enter_context(
            subprocess.Popen(
                ["/bin/sleep", "600"], env={"SECRET": secret}, stdin=subprocess.DEVNULL
            )
        )
        stack.callback(victim.kill)
        time.sleep(0.05)
        maps = Path(f"/proc/{victim.pid}/maps").read_text()
        stack_line = next(line for line in maps.splitlines() if "[stack]" in line)
        shm = Path(f"/dev/shm/{secret}")
        shm.write_text(secret)
        stack.callback(shm.unlink)
        inherited = os.open(other, os.O_RDONLY)
        os.set_inheritable(inherited, True)
        stack.callback(os.close, inherited)
        key = uuid.uuid4().int & 0x7FFF_FFFF
        segment = libc.shmget(key, 4096, 0o1600)
        assert segment >= 0
        address = libc.shmat(segment, None, 0)
        ctypes.memmove(address, secret.encode(), len(secret))
        stack.callback(libc.shmctl, segment, 0, None)
        stack.callback(libc.shmdt, ctypes.c_void_p(address))
        self.sealed = channel.pack_parts([({"n": 1}, pa.table({"n": range(1000)}))])
        stack.callback(os.close, self.sealed)
        self.loose = os.memfd_create("loose")
        os.write(self.loose, os.pread(self.sealed, 1 << 20, 0))
        stack.callback(os.close, self.loose)
        self.source = os.open(other, os.O_RDONLY)
        stack.callback(os.close, self.source)
        self.facts = {
            "secret": secret,
            "folder": str(folder),
            "mount": str(folder / "mount"),
            "near": str(folder),
            "other": str(other),
            "tcp": tcp.getsockname()[1],
            "udp": udp.getsockname()[1],
            "abstract": secret,
            "path": str(folder / "socket"),
            "victim": victim.pid,
            "stack": int(stack_line.split("-")[0], 16),
            "shm": str(shm),
            "inherited": inherited,
            "key": key,
            "daemon": f"d{secret[7:20]}",
            "forks": 90,
            "hog": 1.4,
            "hold": 3.0,
        }

    @staticmethod
    def _answer(udp: socket.socket, secret: str) -> None:
        with contextlib.suppress(OSError):
            while True:
                _, sender = udp.recvfrom(1000)
                udp.sendto(secret.encode(), sender)

    def sweep(self, *without: str) -> dict[str, dict[str, object]]:
        """Run every attack, those that leave nothing behind in one sandbox; return what came of each."""
        import sandbox_attacks

        alone = sandbox_attacks.ALONE
        together = [name for name in sandbox_attacks.ATTACKS if name not in alone]
        found = self._run(together, without, LIMITS, self.facts)
        return found | {name: self.run(name, *without) for name in sorted(alone)}

    def run(self, attack: str, *without: str, limits: Limits = LIMITS) -> dict[str, object]:
        """Run one attack; say if the sandbox started, the attack ran, and what came of it."""
        if attack != "cpu_hog" or limits is not LIMITS:
            return self._run([attack], without, limits, self.facts)[attack]
        # the start counts as well, and takes long on a busy machine
        for wall in (0.7, 4.0, 16.0):
            bounds = Limits(wall=wall, cpu=60)
            result = self._run([attack], without, bounds, self.facts | {"hog": 2 * wall})[attack]
            if result["ran"]:
                break
        return result

    def _run(
        self, attacks: list[str], without: tuple[str, ...], limits: Limits, facts: dict[str, object]
    ) -> dict[str, dict[str, object]]:
        loose = "sealed-inputs" in without
        job = Job(
            recipe="attack",
            spec=json.dumps({"attacks": attacks, "world": facts}).encode(),
            inputs=[self.loose if loose else self.sealed, self.source],
            limits=limits,
            least="E0",
        )
        said: set[tuple[str, str]] = set()
        received = 0
        running = loosen(*without).start(job)
        with contextlib.suppress(SafeholdError):
            for frame in running.frames():
                said.add((frame.header["type"], frame.header.get("attack", "")))
                received += len(frame.body)
        outcome = running.wait()
        return {
            attack: {
                "attack": attack,
                "started": outcome.started,
                "ran": ("ran", attack) in said,
                "open": self._opened(attack, outcome, received, said=("open", attack) in said),
                "outcome": outcome,
            }
            for attack in attacks
        }

    def _opened(self, attack: str, outcome: Outcome, received: int, *, said: bool) -> bool:
        """Return whether an attack got through; of some that shows outside alone."""
        match attack:
            case "egress_flood":
                return received > LIMITS.egress
            case "stderr_flood":
                return outcome.ok
            case "exit_code":
                return "77" in str([outcome.reason, outcome.frames, outcome.printed])
            case "dev_shm_persist":
                left = Path(self.facts["shm"] + "-left")
                opened = left.exists()
                left.unlink(missing_ok=True)
                return opened
            case "daemon":
                return self._survives()
        return said

    def _survives(self) -> bool:
        """Say if a process of the daemon's name is left when the kernel had time to end it."""
        left: list[int] = []
        until = time.monotonic() + 5  # its sleep is far longer
        while time.monotonic() < until:
            left = []
            for process in Path("/proc").glob("[0-9]*/comm"):
                with contextlib.suppress(OSError):
                    if process.read_text().strip() == self.facts["daemon"]:
                        left.append(int(process.parent.name))
            if not left:
                return False
            time.sleep(0.05)
        for pid in left:
            os.kill(pid, 9)
        return True


def main() -> None:
    """Try the attacks named on the command line, or all, without the mechanisms named there."""
    import sandbox_attacks

    with World() as world:
        without = [name for name in sys.argv[1:] if name in EVERYTHING]
        named = [name for name in sys.argv[1:] if name in sandbox_attacks.ATTACKS]
        found = {name: world.run(name, *without) for name in named} or world.sweep(*without)
        for result in found.values():
            outcome = result.pop("outcome")
            result |= {
                "level": outcome.level,
                "reason": outcome.reason,
                "mechanisms": outcome.mechanisms,
                "uid": os.getuid(),
            }
            print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
