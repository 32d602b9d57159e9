"""What a keeper's memory is made of, seen from its inside: where a growth that the samples outside show comes from.

``CHAOS_INSIDE=FOLDER`` makes the keepers of a run write a line every ten seconds to a file each. It is a thread
of the tests in the product's process, and costs some: no run that is judged has it.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import re
import sys
import threading
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

import orjson

EVERY_S = 10.0
DEEP = 9  # every how many looks all objects are counted, which takes some 20 MB: if CHAOS_OBJECTS is set
LARGE = 60  # how many single objects are told
JUMP = 800_000  # bytes of growth between two quick looks, from which on it is told who ran


def begin() -> None:
    """Write what this process holds, again and again, if the environment asks for it."""
    if folder := os.environ.get("CHAOS_INSIDE"):
        file = Path(folder) / f"inside-{os.getpid()}.jsonl"
        file.parent.mkdir(parents=True, exist_ok=True)
        threading.Thread(target=_follow, args=(file,), daemon=True, name="inside").start()


def _follow(file: Path) -> None:
    turn, due, before, deep = 0, time.monotonic() + EVERY_S, 0, "CHAOS_OBJECTS" in os.environ
    with file.open("ab", buffering=0) as sink:
        while True:
            time.sleep(0.05)
            held = _resident()
            if before and held - before > JUMP:
                jump = {"t": time.time(), "jump": held - before, "held": held, "who": _stacks()}
                sink.write(orjson.dumps(jump | {"heap": _heap()}) + b"\n")
            before = held
            if time.monotonic() < due:
                continue
            due = time.monotonic() + EVERY_S
            said = look()
            if deep and turn % DEEP == DEEP - 1:
                said |= objects()
            turn += 1
            sink.write(orjson.dumps(said) + b"\n")


def _stacks() -> list[str]:
    own = threading.get_ident()
    found = []
    for number, frame in sys._current_frames().items():
        if number != own:
            # without the text of lines, which Python would keep
            said = traceback.StackSummary.extract(traceback.walk_stack(frame), lookup_lines=False)
            said.reverse()
            ours = [
                f"{Path(one.filename).stem}.{one.name}"
                for one in said
                if "safehold" in one.filename
            ]
            found.append(" > ".join(ours[-8:]) + f" [{said[-1].name}]")
    return found


def look() -> dict[str, Any]:
    """Return how much there is of memory, by who manages it; bytes."""
    found = {
        "t": time.time(),
        "heap": _heap(),
        "heaps": _heaps(),
        "blocks": sys.getallocatedblocks(),
        "threads": Counter(re.sub(r"[\d().:-]+", "#", one.name) for one in threading.enumerate()),
        "maps": _maps(),
    }
    if arrow := sys.modules.get("pyarrow"):
        pool = arrow.default_memory_pool()
        found["arrow"] = {
            "backend": pool.backend_name,
            "now": pool.bytes_allocated(),
            "most": pool.max_memory(),
        }
    return found


def objects() -> dict[str, Any]:
    """Return how many bytes hang below each kind of owner: its own and those of what no collector follows, as words are.

    An owner is the nearest object above that is no plain collection, with the way down to what is counted.
    """
    began = time.monotonic()
    gc.unfreeze()  # what was set apart is not counted otherwise, nor what has come to hang on it
    everything = [one for one in gc.get_objects() if type(one).__name__ not in _STILL]
    above: dict[int, Any] = {}
    untracked: dict[int, int] = {}
    seen: set[int] = set()
    many: Counter[str] = Counter()
    for one in everything:
        size = 0
        waiting = gc.get_referents(one) if not isinstance(one, type) else []
        while waiting:
            below = waiting.pop()
            if gc.is_tracked(below):
                above.setdefault(id(below), one)
            elif id(below) not in seen and not isinstance(below, type):
                seen.add(id(below))
                many[type(below).__qualname__] += 1
                size += _size(below)
                if isinstance(below, (dict, tuple, frozenset)):
                    waiting += gc.get_referents(below)
        untracked[id(one)] = size
    large = sorted(((_size(one), at) for at, one in enumerate(everything)), reverse=True)[:LARGE]
    by: Counter[str] = Counter()
    members: Counter[str] = Counter()
    for one in everything:
        way = _way(one, above)
        by[way] += _size(one) + untracked[id(one)]
        members[way] += 1
    loose = sum(untracked.values())
    return {
        "owners": {way: [members[way], size] for way, size in by.most_common(1500)},
        "untracked": dict(many.most_common(30)),
        "loose": loose,
        "large": [[size, _many(everything[at]), _way(everything[at], above)] for size, at in large],
        "objects": len(everything),
        "took_s": round(time.monotonic() - began, 2),
    }


_STILL = {
    "frame",
    "function",
    "module",
    "type",
    "getset_descriptor",
    "wrapper_descriptor",
    "member_descriptor",
    "method_descriptor",
    "cell",
    "Field",
    "builtin_function_or_method",
    "ABCMeta",
    "_ProtocolMeta",
    "property",
    "classmethod_descriptor",
    "staticmethod",
    "classmethod",
}  # what code is made of
_PLAIN = (dict, list, tuple, set, frozenset)


def _way(one: Any, above: dict[int, Any]) -> str:
    names = [_name(one)]
    at = one
    for _ in range(4):
        if not isinstance(at, _PLAIN) and len(names) > 1:
            break
        up = above.get(id(at))
        if up is None:
            break
        name = _name(up)
        if not isinstance(up, _PLAIN):
            held = getattr(up, "__dict__", None)
            slots = [key for kind in type(up).__mro__ for key in getattr(kind, "__slots__", ())]
            keys = [*(held if isinstance(held, dict) else ()), *slots]
            with contextlib.suppress(Exception):
                name += "." + next((key for key in keys if getattr(up, key, None) is at), "?")
        names.append(name)
        at = up
    return " < ".join(names)


def _name(one: Any) -> str:
    return f"{type(one).__module__}.{type(one).__qualname__}".removeprefix("builtins.")


def _many(one: Any) -> int:
    return len(one) if isinstance(one, _PLAIN) else 1


def _size(one: Any) -> int:
    try:
        return sys.getsizeof(one)
    except Exception:  # proxies of others may do anything
        return 0


class _Info(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_size_t)
        for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks",
                     "uordblks", "fordblks", "keepcost")
    ]  # fmt: skip


def _heap() -> dict[str, int]:
    """Return what the C library says of all its heaps: taken from the system, in use, free, mapped apart."""
    libc = ctypes.CDLL(None)
    libc.mallinfo2.restype = _Info
    said = libc.mallinfo2()
    return {
        "taken": said.arena,
        "used": said.uordblks,
        "free": said.fordblks,
        "apart": said.hblkhd,
        "top": said.keepcost,
    }


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def _heaps() -> list[dict[str, int]]:
    libc = ctypes.CDLL(None)
    libc.fdopen.restype = ctypes.c_void_p
    libc.fclose.argtypes = [ctypes.c_void_p]
    libc.malloc_info.argtypes = [ctypes.c_int, ctypes.c_void_p]
    inner = os.memfd_create("info")
    try:
        stream = libc.fdopen(os.dup(inner), b"w")
        libc.malloc_info(0, stream)
        libc.fclose(stream)
        text = os.pread(inner, 1 << 22, 0).decode()
    finally:
        os.close(inner)
    found = []
    for part in text.split("<heap ")[1:]:
        rest = re.search(r'<total type="rest" count="\d+" size="(\d+)"/>', part)
        fast = re.search(r'<total type="fast" count="\d+" size="(\d+)"/>', part)
        now = re.search(r'<system type="current" size="(\d+)"/>', part)
        found.append(
            {
                "taken": int(now[1]) if now else 0,
                "free": (int(rest[1]) if rest else 0) + (int(fast[1]) if fast else 0),
            }
        )
    return found


def _maps() -> dict[str, list[int]]:
    """Return resident bytes and how many mappings, by what they are."""
    found: dict[str, list[int]] = {}
    name = ""
    for line in Path("/proc/self/smaps").read_text("utf-8", "replace").splitlines():
        if re.match(r"^[0-9a-f]+-[0-9a-f]+ ", line):
            words = line.split(maxsplit=5)
            first, last = (int(one, 16) for one in words[0].split("-"))
            name = _kind(words[5] if len(words) > 5 else "", last - first, first)
        elif line.startswith("Rss:"):
            held = found.setdefault(name, [0, 0])
            held[0] += int(line.split()[1]) * 1024
            held[1] += 1
    return found


def _kind(path: str, size: int, first: int) -> str:
    if path in ("[heap]", "[stack]"):
        return path
    if path.startswith(("/memfd", "/dev/")):
        return "memfd"
    if path:
        return "files"
    if first % (64 << 20) == 0 and size <= 64 << 20:
        return "thread heap"
    return f"anonymous {'<2M' if size < 2 << 20 else '<16M' if size < 16 << 20 else '<64M' if size < 64 << 20 else '>=64M'}"
