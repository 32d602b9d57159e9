"""The wire: Flower's SuperLink and SuperNodes, and nothing of ours but bytes (flwr 1.42, pinned).

This file runs in Flower's own environment, as a process beside ours; what goes between the two is framed on
standard input and output. It holds no key but the one a node proves itself with, and sees what the wire sees:
vectors that were masked before they came here. It is the only file that imports ``flwr``.

Why not ``flower-superlink`` and ``flower-supernode`` as they come: since 1.42 one port serves the Fleet, Control and
Runtime interfaces, and without an account server anybody who reaches it may register nodes and start programs. Here
the same application is behind a filter that knows the Fleet interface alone, nothing is installed or executed at run
time, and the node answers in one process instead of starting one for each message.
"""

from __future__ import annotations

import asyncio
import json
import os
import struct
import sys
import threading
import time
import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO, Final

os.environ.update(FLWR_TELEMETRY_ENABLED="0", FLWR_DISABLE_UPDATE_CHECK="1")

import uvicorn
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from flwr.app import ConfigRecord, Message, RecordDict
from flwr.server.superlink.linkstate import LinkState
from flwr.supercore.constant import NOOP_FEDERATION_ID
from flwr.supercore.inflatable.inflatable_object import (
    get_all_nested_objects,
    get_object_tree,
    iterate_object_tree,
    no_object_id_recompute,
)
from flwr.supercore.inflatable.inflatable_utils import (
    inflate_object_from_contents,
    pull_objects,
    push_object_contents_from_iterable,
)
from flwr.supercore.task_identity import TaskIdentity
from flwr.superlink.cli.flower_superlink import SuperLinkLifespan
from flwr.superlink.config_loader import SuperLinkLifespanConfig, load_control_authn_plugin
from flwr.superlink.grid.http_grid import HttpGrid
from flwr.superlink.main import create_app
from flwr.superlink.servicer.runtime import runtime_handlers
from flwr.supernode.fleet_http_connection import http_request_response

FLEET: Final = "/v1/fleet/"
LARGEST: Final = 256 << 20  # bytes of one frame
TTL_S: Final = 3600.0
QUICK_S, SLOW_S, GROWTH = (
    0.05,
    0.5,
    1.1,
)  # how often a node asks: at once after work, then ever less
_HEAD = struct.Struct(">II")
Scope = MutableMapping[str, Any]


class Pipe:
    """Frames to and from the process that started this one: two lengths, a JSON object, bytes."""

    def __init__(self, source: BinaryIO, sink: BinaryIO) -> None:
        self._source, self._sink = source, sink
        self._lock = threading.Lock()

    def read(self) -> tuple[dict[str, Any], bytes] | None:
        """Return the next frame; nothing once the other side is gone."""
        head = self._source.read(_HEAD.size)
        if len(head) < _HEAD.size:
            return None
        first, second = _HEAD.unpack(head)
        if first + second > LARGEST:
            return None
        text, body = self._source.read(first), self._source.read(second)
        return (json.loads(text), body) if len(body) == second else None

    def write(self, header: dict[str, Any], body: bytes = b"") -> None:
        """Send one frame."""
        text = json.dumps(header).encode()
        with self._lock:
            self._sink.write(_HEAD.pack(len(text), len(body)) + text + body)
            self._sink.flush()


def _content(body: bytes) -> RecordDict:
    return RecordDict({"body": ConfigRecord({"data": body})})


def _body(message: Message) -> bytes:
    try:  # whoever answers may send anything; what is not ours is an answer without a body
        data = message.content.config_records["body"]["data"]
    except (KeyError, TypeError, ValueError):
        return b""
    return data if isinstance(data, bytes) and len(data) <= LARGEST // 2 else b""


class _Desk:
    """Flower's Runtime interface, asked in this process: it is served to nobody."""

    def __init__(self, state: LinkState, task: Any) -> None:
        self._state, self._task = state, task

    def __getattr__(self, name: str) -> Callable[[Any], Any]:
        asked = {
            "GetNodes": runtime_handlers.get_nodes,
            "PushMessages": runtime_handlers.push_messages,
            "PullMessages": runtime_handlers.pull_messages,
            "PushObject": runtime_handlers.push_object,
            "PullObject": runtime_handlers.pull_object,
            "ConfirmMessageReceived": runtime_handlers.confirm_message_received,
        }[name]
        return lambda request: asked(request, self._state, self._task)


class _Grid(HttpGrid):
    """Flower's grid over that."""

    def __init__(self, state: LinkState, run: Any, task: Any) -> None:
        super().__init__(token="in-process")  # noqa: S106 - it is never sent
        self._desk = _Desk(state, task)
        self.set_run(run)

    @property
    def _runtime_client(self) -> Any:
        return self._desk


def _filtered(app: Any) -> Callable[..., Awaitable[None]]:
    """Let nobody on the network ask for anything but what nodes ask for."""

    async def answer(scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and not str(scope["path"]).startswith(FLEET):
            await send({"type": "http.response.start", "status": 404, "headers": []})
            await send({"type": "http.response.body", "body": b""})
        elif scope["type"] in {"http", "lifespan"}:
            await app(scope, receive, send)

    return answer


def run_link(pipe: Pipe, config: dict[str, Any]) -> None:
    """Serve the nodes that were named, and carry bytes to and from them until the other side is gone."""
    app = create_app(
        SuperLinkLifespanConfig(
            control_address="",
            health_server_address=None,
            host=config["host"],
            port=config["port"],
            insecure=False,
            certificates=None,
            superexec_auth_secret=None,
            authn_plugin=load_control_authn_plugin(),
            event_log_plugin=None,
            fleet_event_log_plugin=None,
            enable_event_log=False,
            artifact_provider=None,
            enable_supernode_auth=True,
            fleet_api_type="grpc-rere",
            fleet_api_address=None,
            simulation=False,
            ssl_ca_certfile=None,
            ssl_certfile=config["certificate"],
            ssl_keyfile=config["key"],
            database=":flwr-in-memory:",
            isolation="process",  # nothing that a run names is executed
            runtime_dependency_install=False,
        ),
        SuperLinkLifespan,
    )
    state: LinkState = app.state.linkstate_factory.state()
    names = {
        state.create_node("", "", pem.encode(), 0): name for name, pem in config["nodes"].items()
    }
    grid = _start_run(state)
    server = uvicorn.Server(
        uvicorn.Config(
            _filtered(app),
            host=config["host"],
            port=config["port"],
            ssl_certfile=config["certificate"],
            ssl_keyfile=config["key"],
            log_level="warning",
            access_log=False,
            server_header=False,
        )
    )
    threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True).start()
    while not server.started:
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    pipe.write({"ready": port})
    waiting: dict[str, str] = {}
    threading.Thread(target=_carry, args=(pipe, grid, names, waiting), daemon=True).start()
    numbers = {name: number for number, name in names.items()}
    while (frame := pipe.read()) is not None:
        header, body = frame
        if "who" in header:
            online = {one.node_id for one in grid.get_nodes() if one.status == "online"}
            pipe.write({"online": sorted(names[one] for one in online if one in names)})
            continue
        message = Message(
            _content(body), dst_node_id=numbers[header["to"]], message_type="query", ttl=TTL_S
        )
        (sent,) = grid.push_messages([message])
        waiting[sent] = header["id"]


def _start_run(state: LinkState) -> _Grid:
    run = state.create_run(
        fab_id="safehold/none",
        fab_version="0",
        fab_hash="",
        override_config={},
        federation_id=NOOP_FEDERATION_ID,
        federation_config=None,
        flwr_aid="",
        primary_task_type="flwr-serverapp",
    )
    (task,) = state.get_tasks(run_ids=[run])
    state.claim_task(task.task_id)
    state.activate_task(task.task_id)

    def beat() -> None:
        while True:
            state.acknowledge_task_heartbeat(task.task_id)
            time.sleep(5)

    threading.Thread(target=beat, daemon=True).start()
    TaskIdentity.run_id, TaskIdentity.task_id = run, task.task_id
    TaskIdentity.node_id = state.get_node_id()
    (info,) = state.get_run_info(run_ids=[run])
    return _Grid(state, info, SimpleNamespace(run_id=run, task_id=task.task_id))


def _carry(pipe: Pipe, grid: _Grid, names: dict[int, str], waiting: dict[str, str]) -> None:
    while True:
        for reply in grid.pull_messages(list(waiting)) if waiting else ():
            asked = waiting.pop(reply.metadata.reply_to_message_id, None)
            if asked is None:
                continue
            who = names.get(reply.metadata.src_node_id, "")
            if reply.has_error():
                pipe.write({"id": asked, "from": who, "failed": True})
            else:
                pipe.write({"id": asked, "from": who}, _body(reply))
        time.sleep(0.02)


def run_node(pipe: Pipe, config: dict[str, Any]) -> None:
    """Prove to be a node, take messages, and answer each with what the other side says."""
    private = load_pem_private_key(Path(config["key"]).read_bytes(), None)
    with http_request_response(
        config["server"],
        False,  # noqa: FBT003 - Flower's own signature: not insecure
        config["ca"],
        (private, private.public_key()),
        max_retries=config.get("retries"),
        max_wait_time=config.get("patience"),
    ) as (_, receive, send, _, _, pull_object, push_object, confirm):
        pipe.write({"ready": True})
        pause = QUICK_S
        while True:
            got = receive()
            if got is None:
                time.sleep(pause)
                pause = min(SLOW_S, pause * GROWTH)
                continue
            pause = QUICK_S
            bare, tree = got
            run, number = bare.metadata.run_id, bare.metadata.message_id
            contents = pull_objects(
                [one.object_id for one in iterate_object_tree(tree)],
                pull_object_fn=lambda name, run=run: pull_object(run, name),
            )
            confirm(run, number)
            message = inflate_object_from_contents(number, contents)
            message.metadata.__dict__["_message_id"] = number
            pipe.write({"message": number}, _body(message))
            answered = pipe.read()
            if answered is None:
                return
            reply = Message(_content(answered[1]), reply_to=message)
            with no_object_id_recompute():
                reply.metadata.__dict__["_message_id"] = reply.object_id
                objects = get_all_nested_objects(reply)
                wanted, session = send(reply, get_object_tree(reply), 0.0)
                push_object_contents_from_iterable(
                    ((name, objects[name].deflate()) for name in wanted),
                    push_object_fn=lambda name, data, run=run, session=session: push_object(
                        run, session, name, data
                    ),
                )


def main() -> None:
    """Take the first frame as what to be."""
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever Flower prints goes to standard error
    pipe = Pipe(sys.stdin.buffer, sink)
    first = pipe.read()
    if first is None:
        return
    config = first[0]
    try:
        (run_link if config["be"] == "link" else run_node)(pipe, config)
    except BaseException:  # noqa: BLE001 - said, without any value, to whoever runs it
        traceback.print_exc()
        os._exit(1)
    os._exit(0)  # Flower's own threads have nothing left to do


if __name__ == "__main__":
    main()
