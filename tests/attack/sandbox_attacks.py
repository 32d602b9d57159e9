"""Attack code that runs inside a sandbox. Each attack returns if it worked and raises if it did not."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import mmap
import os
import resource
import signal
import socket
import sys
import tempfile
import threading
import time

libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p
MIB = 1 << 20
NEWUSER = 0x1000_0000
ARM = os.uname().machine == "aarch64"


def main(spec, inputs, emit):
    """Try one attack here, or several, each in a process of its own so that none spoils the next."""
    names = spec["attacks"]
    if len(names) == 1:
        attempt(names[0], spec, inputs, emit)
        return
    for name in names:
        child = os.fork()
        if child == 0:
            try:
                attempt(name, spec, inputs, emit)
            finally:
                os._exit(0)
        os.waitpid(child, 0)


def attempt(name, spec, inputs, emit):
    emit({"type": "ran", "attack": name})
    try:
        ATTACKS[name](spec["world"], inputs, emit)
    except (OSError, MemoryError, LookupError, RuntimeError) as error:
        emit({"type": "blocked", "attack": name, "errno": getattr(error, "errno", 0) or 0})
    else:
        emit({"type": "open", "attack": name})


def check(result):
    """Raise what the C library said."""
    if result in (-1, None, ctypes.c_void_p(-1).value):
        raise OSError(ctypes.get_errno(), "call failed")
    return result


def call(number, *arguments):
    return check(
        libc.syscall(
            ctypes.c_long(number),
            *(ctypes.c_long(a) if isinstance(a, int) else a for a in arguments),
        )
    )


def expect(secret, found):
    if secret.encode() not in (found if isinstance(found, bytes) else found.encode()):
        raise LookupError("no secret")


def read(path):
    with open(path, "rb") as file:
        return file.read(1 << 16)


# --- network ---


def tcp(world, inputs, emit):
    with socket.create_connection(("127.0.0.1", world["tcp"]), timeout=20) as peer:
        peer.sendall(b"row")


def udp(world, inputs, emit):
    """Count as out only when it comes back: a packet into nowhere is sent without an error."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.settimeout(10)
        own.sendto(b"row", ("127.0.0.1", world["udp"]))
        expect(world["secret"], own.recv(100))


def dns(world, inputs, emit):
    question = b"\0\1\1\0\0\1\0\0\0\0\0\0\3row\7example\0\0\1\0\1"
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as own:
        own.settimeout(10)
        own.sendto(question, ("::ffff:127.0.0.1", world["udp"]))
        expect(world["secret"], own.recv(100))


def unix_abstract(world, inputs, emit):
    with socket.socket(socket.AF_UNIX) as own:
        own.connect("\0" + world["abstract"])


def unix_path(world, inputs, emit):
    with socket.socket(socket.AF_UNIX) as own:
        own.connect(world["path"])


def raw_socket(world, inputs, emit):
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()


def netlink(world, inputs, emit):
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).close()


# --- files ---


def vsock(world, inputs, emit):
    """The way from a virtual machine to its host, past every IP rule."""
    socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM).close()


def kernel_crypto(world, inputs, emit):
    socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET, 0).close()


def packet_socket(world, inputs, emit):
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()


def write_host(world, inputs, emit):
    with open(world["folder"] + "/left", "w") as file:
        file.write("row")


def read_segment(world, inputs, emit):
    expect(world["secret"], read(world["other"]))


def through_symlink(world, inputs, emit):
    folder = tempfile.mkdtemp()
    link = folder + "/link"
    try:
        os.symlink(world["other"], link)
        expect(world["secret"], read(link))
    finally:
        with contextlib.suppress(OSError):
            os.unlink(link)
        os.rmdir(folder)


def look_at_host(world, inputs, emit):
    """That a file is there is an answer too."""
    os.stat(world["other"])


def change_mode(world, inputs, emit):
    os.chmod(world["other"], 0o644)


def hard_link(world, inputs, emit):
    folder = tempfile.mkdtemp(dir=world["folder"] if os.path.isdir(world["folder"]) else None)
    try:
        os.link(world["other"], folder + "/link")
        expect(world["secret"], read(folder + "/link"))
    finally:
        with contextlib.suppress(OSError):
            os.unlink(folder + "/link")
        os.rmdir(folder)


def named_pipe(world, inputs, emit):
    """A pipe in the file system that somebody outside could read."""
    path = f"{world['folder']}/pipe-{os.getpid()}"
    os.mkfifo(path)
    os.unlink(path)


def watch_folder(world, inputs, emit):
    fd = check(libc.inotify_init1(0))
    check(libc.inotify_add_watch(fd, world["folder"].encode(), 0x100))
    os.close(fd)


def device_node(world, inputs, emit):
    """The machine's memory or disk under a name of one's own."""
    path = f"{tempfile.gettempdir()}/node-{os.getpid()}"
    os.mknod(path, 0o600 | 0x2000, os.makedev(1, 1))
    os.unlink(path)


def kernel_files(world, inputs, emit):
    read("/sys/kernel/mm/transparent_hugepage/enabled")


def leave_cgroup(world, inputs, emit):
    """Move to the group that bounds everybody, where no limit of this job holds."""
    for place in ("/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/pids/cgroup.procs"):
        with contextlib.suppress(FileNotFoundError), open(place, "w") as file:
            file.write("0")
            return
    raise LookupError("no group")


def terminal(world, inputs, emit):
    """A terminal is what TIOCSTI types into, for whoever reads it next."""
    os.close(os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY))


def change_root(world, inputs, emit):
    os.chroot("/usr")


def list_processes(world, inputs, emit):
    if str(world["victim"]) not in os.listdir("/proc"):
        raise LookupError("not seen")


def tamper_code(world, inputs, emit):
    import safehold.errors

    with open(safehold.errors.__file__, "r+b"):
        pass


def by_handle(world, inputs, emit):
    """Open a file by its handle, below every path rule."""
    handle = (ctypes.c_uint32 * 40)(128, 0)
    mount = ctypes.c_int()
    where = os.open(world["near"] if os.path.exists(world["near"]) else "/", os.O_RDONLY)
    check(libc.name_to_handle_at(where, b"", handle, ctypes.byref(mount), 0x1000))
    os.close(check(libc.open_by_handle_at(where, handle, os.O_RDONLY)))


def dev_shm_read(world, inputs, emit):
    expect(world["secret"], read(world["shm"]))


def dev_shm_persist(world, inputs, emit):
    """Open only if it is still there when the job is over: the harness looks for it."""
    with open(world["shm"] + "-left", "w") as file:
        file.write("row")


def execute(world, inputs, emit):
    child = os.fork()
    if child == 0:
        with contextlib.suppress(OSError):
            os.execv("/bin/true", ["true"])  # noqa: S606
        os._exit(9)
    if os.waitpid(child, 0)[1]:
        raise RuntimeError("no program")


def execute_memory(world, inputs, emit):
    fd = os.memfd_create("program", 0)
    os.write(fd, b"#!/bin/true\n")
    child = os.fork()
    if child == 0:
        with contextlib.suppress(OSError):
            os.execve(fd, ["program"], {})  # noqa: S606
        os._exit(9)
    if os.waitpid(child, 0)[1]:
        raise RuntimeError("no program")


# --- other processes ---


def proc_root(world, inputs, emit):
    expect(world["secret"], read(f"/proc/{world['victim']}/root{world['other']}"))


def parent_environ(world, inputs, emit):
    expect(world["secret"], read(f"/proc/{world['victim']}/environ"))


def own_environ(world, inputs, emit):
    expect(world["secret"], repr(os.environ))


def proc_mem(world, inputs, emit):
    fd = os.open(f"/proc/{world['victim']}/mem", os.O_RDONLY)
    os.pread(fd, 16, world["stack"])


def process_vm_readv(world, inputs, emit):
    buffer = ctypes.create_string_buffer(16)
    local = (ctypes.c_uint64 * 2)(ctypes.addressof(buffer), 16)
    remote = (ctypes.c_uint64 * 2)(world["stack"], 16)
    check(libc.process_vm_readv(world["victim"], local, 1, remote, 1, 0))


def ptrace(world, inputs, emit):
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    check(libc.ptrace(0x4206, world["victim"], None, None))  # SEIZE: does not stop it


def pidfd_getfd(world, inputs, emit):
    fd = os.pidfd_open(world["victim"])
    os.close(call(438, fd, 0, 0))


def signal_by_descriptor(world, inputs, emit):
    signal.pidfd_send_signal(os.pidfd_open(world["victim"]), 0)


def compare_processes(world, inputs, emit):
    call(272 if ARM else 312, os.getpid(), world["victim"], 2, 0, 0)


def join_namespace(world, inputs, emit):
    fd = os.open(f"/proc/{world['victim']}/ns/uts", os.O_RDONLY)
    check(libc.setns(fd, 0))
    os.close(fd)


def signal_parent(world, inputs, emit):
    os.kill(world["victim"], signal.SIGCONT)


def prlimit_parent(world, inputs, emit):
    soft = resource.prlimit(world["victim"], resource.RLIMIT_CORE)
    resource.prlimit(world["victim"], resource.RLIMIT_CORE, soft)


def slow_parent(world, inputs, emit):
    os.setpriority(os.PRIO_PROCESS, world["victim"], 19)


def inherited_fd(world, inputs, emit):
    expect(world["secret"], os.pread(world["inherited"], 100, 0))


def sysv_shm(world, inputs, emit):
    shm = check(libc.shmget(world["key"], 0, 0o400))
    address = check(libc.shmat(shm, None, 0o10000))
    expect(world["secret"], ctypes.string_at(address, 100))


def sysv_queue(world, inputs, emit):
    queue = check(libc.msgget(world["key"] ^ 1, 0o1600))
    libc.msgctl(queue, 0, None)


def sysv_semaphore(world, inputs, emit):
    semaphore = check(libc.semget(world["key"] ^ 2, 1, 0o1600))
    libc.semctl(semaphore, 0, 0)


def posix_queue(world, inputs, emit):
    librt = ctypes.CDLL("librt.so.1", use_errno=True)
    fd = check(librt.mq_open(b"/safehold-attack", os.O_CREAT | os.O_RDWR, 0o600, None))
    os.close(fd)
    librt.mq_unlink(b"/safehold-attack")


# --- resources ---


def fork_bomb(world, inputs, emit):
    for _ in range(world["forks"]):
        if os.fork() == 0:
            while True:
                signal.pause()


def thread_bomb(world, inputs, emit):
    stop = threading.Event()
    try:
        for _ in range(world["forks"]):
            threading.Thread(target=stop.wait, daemon=True).start()
    finally:
        stop.set()


def memory_bomb(world, inputs, emit):
    mmap.mmap(-1, 6 << 30).close()


def memory_touch(world, inputs, emit):
    """Use real memory, a little in each of several processes, all of it at the same time."""
    hold, let_go = os.pipe()
    children = []
    full = True
    for _ in range(6):
        touched, tell = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(let_go)
            block = bytearray(64 * MIB)
            block[::4096] = b"x" * len(block[::4096])
            os.write(tell, b"x")
            os.read(hold, 1)
            os._exit(0)
        children.append(child)
        os.close(tell)
        # Nothing comes from a child that was killed while it touched its block.
        full &= os.read(touched, 1) == b"x"
        os.close(touched)
    time.sleep(world["hold"])  # whoever only looks from time to time has time to
    os.close(let_go)
    ended = [os.waitpid(child, 0)[1] for child in children]
    if any(ended) or not full:
        raise MemoryError


def disk_fill(world, inputs, emit):
    folder = tempfile.mkdtemp()
    names = [f"{folder}/{i}" for i in range(6)]
    try:
        for name in names:
            with open(name, "wb") as file:
                file.write(bytes(12 * MIB))
    finally:
        for name in names:
            with contextlib.suppress(OSError):
                os.unlink(name)
        os.rmdir(folder)


def big_file(world, inputs, emit):
    with tempfile.TemporaryFile() as file:
        file.write(bytes(20 * MIB))


def many_files(world, inputs, emit):
    for fd in [os.open("/dev/null", os.O_RDONLY) for _ in range(600)]:
        os.close(fd)


def cpu_hog(world, inputs, emit):
    end = time.monotonic() + world["hog"]
    while time.monotonic() < end:
        pass


def stderr_flood(world, inputs, emit):
    for _ in range(120):
        sys.stderr.write("row" * 35_000)
        sys.stdout.write("row" * 35_000)


def egress_flood(world, inputs, emit):
    for _ in range(120):
        emit({"type": "row"}, bytes(100_000))


def daemon(world, inputs, emit):
    """Leave a process behind; the harness looks for its name."""
    read_end, write_end = os.pipe()
    if os.fork() == 0:
        with contextlib.suppress(OSError):
            os.setsid()
        if os.fork() == 0:
            libc.prctl(15, world["daemon"].encode(), 0, 0, 0)
            os.write(write_end, b"x")
            os.closerange(0, 1000)
            time.sleep(200)
        os._exit(0)
    os.read(read_end, 1)


def exit_code(world, inputs, emit):
    """Say a number by how the process ends; the harness looks whether anybody could learn it."""
    sys.stdout.flush()
    os._exit(77)


def leave_group(world, inputs, emit):
    """Leave the process group the parent kills."""
    for leave in (os.setsid, lambda: os.setpgid(0, 0)):
        child = os.fork()
        if child == 0:
            with contextlib.suppress(OSError):
                leave()
                os._exit(0)
            os._exit(9)
        if os.waitpid(child, 0)[1] == 0:
            return
    raise RuntimeError("stayed")


# --- privileges ---


def capability_set():
    data = (ctypes.c_uint32 * 6)()
    check(libc.capget((ctypes.c_uint32 * 2)(0x2008_0522, 0), data))
    return data[0] | data[3]


def new_user_namespace(world, inputs, emit):
    check(libc.unshare(NEWUSER))


def clone_user_namespace(world, inputs, emit):
    child = call(220 if ARM else 56, NEWUSER | signal.SIGCHLD, 0, 0, 0, 0)
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


def clone3_user_namespace(world, inputs, emit):
    arguments = (ctypes.c_uint64 * 8)(NEWUSER, 0, 0, 0, signal.SIGCHLD, 0, 0, 0)
    child = call(435, ctypes.c_void_p(ctypes.addressof(arguments)), 64)
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


def mount(world, inputs, emit):
    target = world["mount"].encode()
    check(libc.mount(b"none", target, b"tmpfs", 0, None))
    libc.umount(target)


def set_user(world, inputs, emit):
    with contextlib.suppress(OSError):
        os.setuid(0)
    if not capability_set():
        raise RuntimeError("no capabilities")


def dump(world, inputs, emit):
    if libc.prctl(3, 0, 0, 0, 0) != 1:
        raise RuntimeError("not dumpable")


def surface(x86, arm, *arguments):
    """A call the kernel looked at is open, even if it then found fault with the arguments."""

    def attack(world, inputs, emit):
        try:
            call(arm if ARM else x86, *arguments)
        except OSError as error:
            if error.errno not in {
                errno.EFAULT,
                errno.EINVAL,
                errno.EBADF,
                errno.ENOKEY,
                errno.E2BIG,
            }:
                raise

    return attack


def x32(world, inputs, emit):
    """The second calling convention: the filter must not look at its own numbers only."""
    with contextlib.suppress(OSError):
        call(0x4000_0000 + 39)


def thread_filter(world, inputs, emit):
    """A thread is as confined as the process."""
    caught = []

    def attempt():
        try:
            socket.socket().close()
        except OSError as error:
            caught.append(error)

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    if caught:
        raise caught[0]


# --- data and protocol ---


def tamper_input(world, inputs, emit):
    changed = 0
    for change in (
        lambda fd: mmap.mmap(fd, 1, prot=mmap.PROT_READ | mmap.PROT_WRITE),
        lambda fd: os.pwrite(fd, b"x", 0),
        lambda fd: os.ftruncate(fd, 10),
    ):
        with contextlib.suppress(OSError):
            change(inputs[0])
            changed += 1
    if not changed:
        raise RuntimeError("nothing changed")


def reopen_input(world, inputs, emit):
    """Open a source file again with more rights than it was handed over with."""
    os.close(os.open(f"/proc/self/fd/{inputs[1]}", os.O_RDWR))


def forge_frame(world, inputs, emit):
    from safehold.errors import SafeholdError

    for kind in ("started", "finished", "error", "failed"):
        try:
            emit({"type": kind})
        except SafeholdError:
            continue
        return
    raise RuntimeError("refused")


ATTACKS = {
    name: value
    for name, value in globals().items()
    if callable(value)
    and getattr(value, "__code__", None) is not None
    and value.__code__.co_varnames[:3] == ("world", "inputs", "emit")
} | {
    "bpf": surface(321, 280, 0, 0, 0),
    "io_uring": surface(425, 425, 1, 0),
    "userfaultfd": surface(323, 282, 1),
    "keyctl": surface(250, 219, 0, -3, 0),
    "perf_event": surface(298, 241, 0, 0, -1, -1, 0),
    "set_clock": surface(227, 112, 0, 0),
    "load_module": surface(175, 105, 0, 0, 0),
    "kernel_log": surface(103, 116, 10, 0, 0),
    "splice_memory": surface(278, 75, -1, 0, 0, 0),
}
ATTACKS.pop("attack", None)
# these use up what all share, end their process, or are looked at from outside: each has a sandbox of its own
ALONE = {
    "fork_bomb", "thread_bomb", "memory_bomb", "memory_touch", "disk_fill", "big_file", "many_files", "cpu_hog",
    "stderr_flood", "egress_flood", "daemon", "leave_group", "x32", "exit_code",
}  # fmt: skip
