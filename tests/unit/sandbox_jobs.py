"""Jobs that behave and jobs that do not, run inside a sandbox by the tests."""

from __future__ import annotations

import os
import struct
import sys
import time

from safehold import errors

FOREVER = 600.0  # seconds: far beyond what any test waits, so a job that ends was ended


def main(spec, inputs, emit):
    globals()[spec["job"]](spec, inputs, emit)


def empty(spec, inputs, emit):
    pass


def echo(spec, inputs, emit):
    emit({"type": "echo", "spec": spec, "inputs": len(inputs), "arguments": sys.argv[1:]}, b"body")


def many(spec, inputs, emit):
    for index in range(spec["count"]):
        emit({"type": "item", "index": index}, bytes(spec["size"]))


def refuse(spec, inputs, emit):
    emit({"type": "before"})
    kind = errors.ERRORS[spec["code"]]
    raise kind("the rule says no", rule="test.rule", fix="do not")


def long_error(spec, inputs, emit):
    raise errors.InvalidError("x" * 10_000)


def error_with_control(spec, inputs, emit):
    raise errors.InvalidError("a\x1b[31mb")


def error_with_rule(spec, inputs, emit):
    raise errors.InvalidError("a", rule="Anna said so")


def crash(spec, inputs, emit):
    raise ValueError("a secret value")


def leave(spec, inputs, emit):
    sys.exit(0)


def vanish(spec, inputs, emit):
    emit({"type": "before"})
    os._exit(0)


def cut(spec, inputs, emit):
    os.write(spec_egress(), struct.pack(">II", 100, 10) + b"half")
    os._exit(0)


def giant(spec, inputs, emit):
    os.write(spec_egress(), struct.pack(">II", 0xFFFFFFFF, 10) + b"x" * 100)
    time.sleep(FOREVER)


def garbage(spec, inputs, emit):
    os.write(spec_egress(), struct.pack(">II", 14, 10) + b"not a json")
    time.sleep(FOREVER)


def twice(spec, inputs, emit):
    frame(b'{"type":"finished"}')
    frame(b'{"type":"more"}')
    time.sleep(FOREVER)


def start_again(spec, inputs, emit):
    frame(b'{"type":"started","mechanisms":[]}')
    time.sleep(FOREVER)


def bad_error(spec, inputs, emit):
    frame(spec["frame"].encode())
    time.sleep(FOREVER)


def claim_success(spec, inputs, emit):
    frame(b'{"type":"finished"}')
    os._exit(1)


def chatter(spec, inputs, emit):
    print("a secret value")
    print("another", file=sys.stderr)
    emit({"type": "done"})


def sleep(spec, inputs, emit):
    emit({"type": "asleep"})
    time.sleep(FOREVER)


def counted(spec, inputs, emit):
    """Count how far the job gets while nobody reads."""
    while True:
        emit({"type": "item"}, bytes(10_000))


def read(spec, inputs, emit):
    from safehold.sandbox import channel

    for header, table in channel.read_parts(inputs[0]):
        emit({"type": "part", "header": header, "rows": table.num_rows})


def arrow(spec, inputs, emit):
    """Use Arrow's thread pool on data that lies in sealed memory."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from safehold.sandbox import channel

    ((_, table),) = channel.read_parts(inputs[0])
    groups = table.group_by("word", use_threads=True).aggregate([("n", "sum")])
    stream = pa.BufferOutputStream()
    with pa.ipc.new_stream(stream, groups.schema) as writer:
        writer.write_table(groups)
    emit(
        {"type": "sum", "sum": pc.sum(table["n"]).as_py(), "rows": groups.num_rows},
        stream.getvalue(),
    )


def jax(spec, inputs, emit):
    import jax
    import jax.numpy as jnp

    product = jax.jit(lambda a, b: a @ b)(jnp.ones((256, 256)), jnp.ones((256, 256)))
    emit({"type": "metrics", "sum": float(product.sum())})


def pool(spec, inputs, emit):
    import multiprocessing

    with multiprocessing.get_context("fork").Pool(3) as workers:
        emit({"type": "squares", "of": workers.map(square, range(10))})


def square(number):
    return number * number


def files(spec, inputs, emit):
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "a").write_bytes(b"x" * 1000)
        emit({"type": "size", "size": (Path(folder) / "a").stat().st_size})


def threads(spec, inputs, emit):
    """Say how many threads NumPy will take for one product, as it reads it when it is loaded."""
    emit(
        {
            "type": "threads",
            "told": os.environ.get("OPENBLAS_NUM_THREADS"),
            "late": "numpy" in sys.modules,
        }
    )


def view(spec, inputs, emit):
    """Say what can be seen of the machine."""

    def names(path):
        try:
            return sorted(os.listdir(path))
        except OSError:
            return None

    emit(
        {
            "type": "view",
            "host": os.uname().nodename,
            "ids": [os.getuid(), os.getgid()],
            "pid": os.getpid() < 10,
            "environment": sorted(os.environ),
            "root": names("/"),
            "etc": names("/etc"),
            "proc": names("/proc"),
            "dev": names("/dev"),
            "tmp": names("/tmp"),
            "home": names("/home"),
            "there": [path for path in spec["paths"] if os.path.exists(path)],
        }
    )


def frame(head, body=b""):
    os.write(spec_egress(), struct.pack(">II", 4 + len(head) + len(body), len(head)) + head + body)


def spec_egress():
    """Find the egress pipe, as hostile code would: it is the first pipe after the standard ones."""
    import stat

    for fd in range(3, 4096):
        try:
            if stat.S_ISFIFO(os.fstat(fd).st_mode):
                return fd
        except OSError:
            continue
    raise RuntimeError


def work(spec, inputs, emit):
    """Say how long arithmetic takes here, and system calls."""
    emit({"type": "took", **measure(spec["file"])})


def measure(file):
    """Return seconds of processor time of arithmetic, and microseconds of two system calls."""
    begun = time.process_time()
    total = 0
    for number in range(3_000_000):
        total += number * number % 7
    arithmetic = time.process_time() - begun
    begun = time.process_time()
    for _ in range(100_000):
        os.getppid()
    getppid = time.process_time() - begun
    begun = time.process_time()
    for _ in range(10_000):
        fd = os.open(file, os.O_RDONLY)
        os.read(fd, 64)
        os.close(fd)
    opened = time.process_time() - begun
    return {"cpu": arithmetic, "getppid": getppid * 10, "open": opened * 100}
