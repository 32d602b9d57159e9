"""Standard input and output: one message a line, for the one agent whose key started the server."""

from __future__ import annotations

from typing import BinaryIO

from safehold.mcp.protocol import LARGEST, Call, answer


def serve(source: BinaryIO, sink: BinaryIO, call: Call) -> None:
    """Answer messages until the input ends."""
    while line := source.readline(LARGEST + 1):
        if not line.strip():
            continue
        body = answer(line, call)
        if len(line) > LARGEST and not line.endswith(b"\n"):
            while (rest := source.readline(LARGEST)) and not rest.endswith(b"\n"):
                pass
        if body is not None:
            sink.write(body + b"\n")
            sink.flush()
