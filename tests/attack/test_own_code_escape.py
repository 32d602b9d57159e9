"""Scripts that try to take a secret out of their input, over the command line's own way of running them."""

from __future__ import annotations

import os
import socket
import sys
import threading
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.feather as feather
import pytest
from tests.command_line import World

from safehold.access.code import read_code
from safehold.app.own_code import run_own
from safehold.errors import InvalidError
from safehold.sandbox.job import Job, Limits
from safehold.sandbox.launch import Launcher

SECRET = "the-secret-of-the-input-7d1e"
GET = 'import safehold_enclave as e, os, sys\nsecret = e.table()["word"][0].as_py()\n'
# what each tries: it says "matches" only where it got through
EVERY_WAY = (
    GET
    + """
import json, socket, struct
def way(attempt):
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1] == 0
    try:
        attempt()
    except BaseException:
        os._exit(1)
    os._exit(0)
def tcp(): socket.create_connection(("127.0.0.1", PORT), 5).sendall(secret.encode())
def udp(): socket.socket(type=socket.SOCK_DGRAM).sendto(secret.encode(), ("127.0.0.1", PORT))
def unix():
    link = socket.socket(socket.AF_UNIX); link.connect(PATH); link.sendall(secret.encode())
def file(): open(FOLDER + "/left", "w").write(secret)
def name(): os.mkdir(FOLDER + "/" + secret)
def read(): open(FOLDER + "/other").read()
def program(): os.execv("/bin/true", ["true"])
def other(): os.kill(PARENT, 0)
def environ(): os.environ["HIDDEN"]
ways = [tcp, udp, unix, file, name, read, program, other, environ]
e.count("items", len(ways))
e.count("matches", sum(map(way, ways)))
print(secret); print(secret, file=sys.stderr)
"""
)


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    file = tmp_path / "mine.arrow"
    feather.write_feather(pa.table({"word": [SECRET]}), file, compression="uncompressed")
    return file


def run(text: str, file: Path, **more):
    return run_own(text.encode(), file, show=more.pop("show", False), **more)


def shows(found) -> bool:
    return SECRET in orjson.dumps(found).decode()


def test_every_way_out_through_the_command_line(tmp_path: Path, mine: Path) -> None:
    """Nine ways that work for this user outside; and what is printed is shown to nobody who did not ask."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as path:
        path.bind(str(tmp_path / "socket"))
        path.listen()
        threading.Thread(target=listen, args=(tcp, heard), daemon=True).start()
        (tmp_path / "other").write_text("another segment")
        script = tmp_path / "script.py"
        facts = {
            "PORT": tcp.getsockname()[1],
            "PATH": str(tmp_path / "socket"),
            "FOLDER": str(tmp_path),
            "PARENT": os.getpid(),
        }
        script.write_text(
            "".join(f"{name} = {value!r}\n" for name, value in facts.items()) + EVERY_WAY
        )
        world = World(tmp_path, extra={"HIDDEN": "a value of the environment"})
        done = world.run("enclave", "run", "--input", mine, script, "--json")
    found = done.json
    assert found["counts"] == {"items": 9, "matches": 0}
    assert found["level"] == "E3"
    assert SECRET not in done.out + done.err
    assert heard == []
    assert not (tmp_path / "left").exists()
    assert not (tmp_path / SECRET).exists()


def listen(server: socket.socket, heard: list[bytes]) -> None:
    try:
        while True:
            link, _ = server.accept()
            heard.append(link.recv(1000))
    except OSError:
        return


def test_the_same_ways_are_open_outside(tmp_path: Path) -> None:
    """Otherwise that they are shut inside would say nothing."""
    with socket.create_server(("127.0.0.1", 0)) as tcp:
        socket.create_connection(tcp.getsockname(), 5).close()
    (tmp_path / SECRET).mkdir()
    os.kill(os.getpid(), 0)
    assert Path(sys.executable).exists()


RAW = """
import struct, json
def frame(header):
    head = json.dumps(header, separators=(",", ":")).encode()
    for fd in range(3, 64):
        try:
            os.write(fd, struct.pack(">II", 4 + len(head), len(head)) + head)
            return
        except OSError:
            continue
"""
BEHIND = [
    (
        'frame({"type": "error", "code": "invalid", "message": secret, "rule": None, "fix": None, "entry": None})'
    ),
    (
        'frame({"type": "error", "code": "denied", "message": "m", "rule": "a." + secret, "fix": secret, "entry": None})'
    ),
    ('frame({"type": secret})'),
    ('frame({"type": "word", "word": secret})'),
    ('frame({"type": "counts", "values": {secret: 1}})'),
    ('frame({"type": "figure", "value": 1.0})'),
    (
        'os.write(int(os.environ["SAFEHOLD_INPUT_FD"]) + 1, secret.encode()) if 0 else frame({"type": "started"})'
    ),
]


@pytest.mark.parametrize("line", BEHIND)
def test_nothing_goes_behind_the_module(mine: Path, line: str) -> None:
    """A script holds the pipe itself; the gate believes none of what comes through it."""
    found = run(GET + RAW + line + "\nos._exit(0)\n", mine)
    assert found["started"]
    assert not found["ok"]
    assert not shows(found)
    assert (found["counts"], found["words"], found["figure"]) == ({}, [], None)


@pytest.mark.parametrize(
    ("line", "ok"),
    [
        ("sys.exit(42)", False),
        ("os._exit(42)", False),
        ("raise ValueError(secret)", False),
        ("import signal; os.kill(os.getpid(), signal.SIGSEGV)", False),
        ("sys.exit(0)", True),
        ("os.fork() or None", True),
    ],
)
def test_how_it_ends_is_well_or_not_and_no_more(mine: Path, line: str, *, ok: bool) -> None:
    found = run(GET + line, mine)
    assert found["started"]
    assert found["ok"] is ok
    assert found["ended"] == ("finished" if ok else "failed")
    assert not shows(found)


def test_what_it_prints_is_shown_to_whoever_asked_and_only_its_beginning(mine: Path) -> None:
    found = run(
        GET + "print(secret)\nprint('x' * 1_000_000)\nraise ValueError('why')", mine, show=True
    )
    assert found["printed"].startswith(SECRET)
    assert len(found["printed"]) == 64 * 1024
    assert "ValueError: why" in run(GET + "raise ValueError('why')", mine, show=True)["printed"]


def test_legitimate_work_is_done(mine: Path) -> None:
    """Processes, shared memory, numpy over the input without a copy, and temporary files."""
    found = run(
        GET
        + """
import multiprocessing, numpy as np, tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.shared_memory import SharedMemory
def square(x): return int(np.square(x))
with multiprocessing.Pool(2) as pool: e.count("items", sum(pool.map(square, range(10))))
with ProcessPoolExecutor(2) as pool: e.count("items", sum(pool.map(square, range(10))))
block = SharedMemory(create=True, size=8 << 20); block.buf[-1] = 1; block.close(); block.unlink()
with tempfile.TemporaryFile() as file: file.write(bytes(1 << 20))
import mmap, pyarrow as pa
fd = int(os.environ["SAFEHOLD_INPUT_FD"])
rows = pa.ipc.open_stream(pa.py_buffer(mmap.mmap(fd, 0, prot=mmap.PROT_READ))).read_all()
e.count("rows", rows.num_rows)
e.say("done")
""",
        mine,
    )
    assert found["ok"], found
    assert found["counts"] == {"rows": 1, "items": 570}
    assert found["words"] == ["done"]


def test_a_step_of_training_is_done(mine: Path) -> None:
    pytest.importorskip("jax")
    found = run(
        GET
        + """
import jax, jax.numpy as jnp
loss = jax.jit(jax.value_and_grad(lambda w: jnp.mean((jnp.arange(64.0).reshape(8, 8) @ w - 1.0) ** 2)))
value, slope = loss(jnp.ones(8))
e.count("steps", int(bool(jnp.isfinite(slope).all())))
""",
        mine,
    )
    assert found["ok"], found
    assert found["counts"] == {"steps": 1}


def test_the_bomb_of_one_stops_no_other(mine: Path) -> None:
    """While one script holds all the processes it may have, the next one of the same user starts and works."""
    from safehold.app.own_code import CODE

    bomb = (
        "import safehold_enclave as e, os, signal\n"
        "try:\n"
        "    while True:\n"
        "        if os.fork() == 0: signal.pause()\n"
        "except OSError: pass\n"
        "e.say('done')\n"
        "signal.pause()\n"
    )
    spec = orjson.dumps({"script": bomb, "own": True, "show": False})
    job = Job(recipe=CODE, spec=spec, limits=Limits.of(CODE), least="E3")
    with Launcher().start(job) as running:
        assert next(running.frames()).header == {"type": "word", "word": "done"}
        other = run(
            GET + "import multiprocessing\nmultiprocessing.Pool(4).close()\ne.say('done')", mine
        )
        assert (other["ok"], other["words"]) == (True, ["done"])


@pytest.mark.parametrize("data", [b"", b"no arrow at all", b"ARROW1" + bytes(100)])
def test_an_input_is_an_arrow_file(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "mine.arrow"
    file.write_bytes(data)
    with pytest.raises(InvalidError) as caught:
        run("pass", file)
    assert caught.value.rule == "code.input"


def test_a_stream_is_as_good_as_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.arrows"
    table = pa.table({"n": [1, 2, 3]})
    with pa.OSFile(str(file), "wb") as out, pa.ipc.new_stream(out, table.schema) as stream:
        stream.write_table(table)
    assert run("import safehold_enclave as e; e.count('rows', e.table().num_rows)", file)[
        "counts"
    ] == {"rows": 3}


def test_a_script_has_a_size(tmp_path: Path) -> None:
    file = tmp_path / "script.py"
    file.write_bytes(b"#" * (256 * 1024 + 1))
    with pytest.raises(InvalidError) as caught:
        read_code(file)
    assert caught.value.rule == "code.size"
