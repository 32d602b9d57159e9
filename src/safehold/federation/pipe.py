"""Our end of the wire: Flower's process, and frames to and from it.

The process lives in an environment of its own, because what ``flwr`` pins and what Safehold pins exclude each
other. It gets an environment without secrets, and dies with the process that started it.
"""

from __future__ import annotations

import contextlib
import os
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import orjson

from safehold.errors import TamperedError, UnavailableError

VARIABLE: Final = "SAFEHOLD_FLOWER"  # the Python of Flower's environment
LARGEST: Final = 256 << 20
_HEAD = struct.Struct(">II")


def find_flower() -> Path:
    """Return the Python of Flower's environment: what the variable names, or ``flower`` beside our own.

    Raises:
        UnavailableError: There is none.
    """
    named = os.environ.get(VARIABLE)
    found = Path(named) if named else Path(sys.prefix) / "flower" / "bin" / "python"
    if not found.is_file():
        raise UnavailableError(
            "Flower's environment is not there",
            rule="federation.flower",
            fix=f"make setup-flower, or name its Python in {VARIABLE}",
        )
    return found


class Line:
    """Frames to and from one process of Flower."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._lock = threading.Lock()

    def write(self, header: Mapping[str, Any], body: bytes = b"") -> None:
        """Send one frame.

        Raises:
            UnavailableError: The process has gone.
        """
        text = orjson.dumps(dict(header))
        sink = self._process.stdin
        try:
            if sink is None:
                raise BrokenPipeError
            with self._lock:
                sink.write(_HEAD.pack(len(text), len(body)) + text + body)
                sink.flush()
        except (OSError, ValueError) as error:
            raise _gone() from error

    def read(self) -> tuple[dict[str, Any], bytes]:
        """Return the next frame.

        Raises:
            UnavailableError: The process has gone.
            TamperedError: A frame is larger than any of ours.
        """
        first, second = _HEAD.unpack(self._exactly(_HEAD.size))
        if first + second > LARGEST:
            raise TamperedError("a frame that is too large", rule="federation.frame")
        header: dict[str, Any] = orjson.loads(self._exactly(first))
        return header, self._exactly(second)

    def _exactly(self, count: int) -> bytes:
        source = self._process.stdout
        data = b"" if source is None else source.read(count)
        if len(data) != count:
            raise _gone()
        return data


@contextmanager
def flower(config: Mapping[str, Any]) -> Iterator[tuple[Line, dict[str, Any]]]:
    """Start a process of Flower, tell it what to be, yield the line and what it said when it was ready.

    Raises:
        UnavailableError: It did not come up; why is on standard error.
    """
    script = Path(__file__).with_name("flower.py")
    with tempfile.TemporaryDirectory(prefix="safehold-flower-") as place:
        process = subprocess.Popen(
            [str(find_flower()), "-I", str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"PATH": "/usr/bin:/bin", "HOME": place, "FLWR_HOME": place, "LANG": "C.UTF-8"},
            cwd=place,
            start_new_session=True,
        )
        try:
            line = Line(process)
            line.write(config)
            said, _ = line.read()
            yield line, said
        finally:
            with contextlib.suppress(OSError):
                if process.stdin is not None:
                    process.stdin.close()
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()


def _gone() -> UnavailableError:
    return UnavailableError("Flower's process has ended", rule="federation.flower")
