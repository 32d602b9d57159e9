"""System call tables against this machine's headers and kernel, and the filter against its meaning."""

from __future__ import annotations

import platform
import re
import struct
from functools import cache
from pathlib import Path

import pytest

from safehold.sandbox.landlock import KEEP, READ
from safehold.sandbox.seccomp import (
    ALLOW,
    CLONE_NEW,
    ENOSYS,
    EPERM,
    ERRNO,
    KILL_PROCESS,
    compile_filter,
)
from safehold.sandbox.tables import DENIED, GROUPS, NEWEST, TABLES

# Looked at one by one and left open: a computation on memory, own files, time, threads and signals.
ALLOWED_TEXT = """
    access alarm arch_prctl brk cachestat capget chdir chmod chown clock_getres clock_gettime
    clock_nanosleep clone clone3 close close_range copy_file_range creat dup dup2 dup3 epoll_create
    epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd
    eventfd2 exit exit_group faccessat faccessat2 fadvise64 fallocate fchdir fchmod fchmodat fchmodat2
    fchown fchownat fcntl fdatasync fgetxattr file_getattr file_setattr flistxattr flock fork
    fremovexattr fsetxattr fstat fstatfs fsync ftruncate futex futex_requeue futex_wait futex_waitv
    futex_wake futimesat get_mempolicy get_robust_list get_thread_area getcpu getcwd getdents
    getdents64 getegid geteuid getgid getgroups getitimer getpgid getpgrp getpid getpmsg getppid
    getpriority getrandom getresgid getresuid getrlimit getrusage getsid gettid gettimeofday getuid
    getxattr getxattrat inotify_add_watch inotify_init inotify_init1 inotify_rm_watch ioctl ioprio_get
    ioprio_set kill landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown lgetxattr
    link linkat listxattr listxattrat llistxattr lremovexattr lseek lsetxattr lsm_get_self_attr
    lsm_list_modules lstat madvise mbind membarrier memfd_create mincore mkdir mkdirat mlock mlock2
    mlockall mmap mprotect mremap mseal msync munlock munlockall munmap nanosleep newfstatat open
    openat openat2 pause pipe pipe2 pkey_alloc pkey_free pkey_mprotect poll ppoll prctl pread64 preadv
    preadv2 prlimit64 pselect6 putpmsg pwrite64 pwritev pwritev2 read readahead readlink readlinkat
    readv recvfrom recvmsg removexattr removexattrat rename renameat renameat2 restart_syscall rmdir
    rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend
    rt_sigtimedwait rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min sched_getaffinity
    sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval sched_setaffinity
    sched_setattr sched_setparam sched_setscheduler sched_yield select sendfile sendmsg sendto
    set_mempolicy set_mempolicy_home_node set_robust_list set_thread_area set_tid_address setitimer
    setpriority setrlimit setxattr setxattrat sigaltstack signalfd signalfd4 socketpair splice stat
    statfs statx symlink symlinkat sync sync_file_range syncfs sysinfo tee tgkill time timer_create
    timer_delete timer_getoverrun timer_gettime timer_settime timerfd_create timerfd_gettime
    timerfd_settime times tkill truncate tuxcall umask uname unlink unlinkat uprobe utime utimensat
    utimes vfork vserver wait4 waitid write writev afs_syscall security arch_specific_syscall
"""
ALLOWED = frozenset(ALLOWED_TEXT.split())
ALIASES = {
    "newstat": "stat", "newlstat": "lstat", "newfstat": "fstat", "newuname": "uname", "umount": "umount2",
    "sendfile64": "sendfile", "fadvise64_64": "fadvise64", "fstatat64": "newfstatat", "sysctl": "_sysctl",
}  # fmt: skip
# Symbols that are no system call of the 64-bit table.
ELSEWHERE = re.compile(
    r"(ia32_.*|.*16|.*32|compat_.*|.*time32|old_.*|olduname|oldumount|pciconfig_.*|ppc_.*|rtas|s390_.*|"
    r"spu_.*|socketcall|ipc|llseek|mmap_pgoff|nice|ni_syscall|sgetmask|ssetmask|signal|sigpending|"
    r"sigprocmask|sigsuspend|stime|vm86|vm86old|waitpid|send|recv|gethostname|statfs64|fstatfs64|"
    r"(clock|timer|timerfd|mq|semtimedop|recvmmsg|pselect6|ppoll|rt_sig|sched|futex|utimensat|io_pget)"
    r"\w*64|fstatat|subpage_prot|sync_file_range2|setfsuid|arc_.*|cacheflush|mmap2|sethae|riscv_.*)"
)


def headers(machine: str) -> dict[str, int]:
    if machine == "x86_64":
        path = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
        path = path if path.exists() else Path("/usr/include/asm/unistd_64.h")
        pattern = r"#define __NR_(\w+)\s+(\d+)"
    else:
        path = Path("/usr/include/asm-generic/unistd.h")
        pattern = r"#define __NR(?:3264)?_(\w+)\s+(\d+)"
    if not path.exists():
        pytest.skip(f"no kernel headers for {machine} here")
    return {name: int(number) for name, number in re.findall(pattern, path.read_text())}


@pytest.mark.parametrize("machine", sorted(TABLES))
def test_numbers_are_those_of_the_headers(machine):
    known = headers(machine)
    table = TABLES[machine].numbers
    compared = set(table) & set(known)
    assert len(compared) > 90
    assert {name: table[name] for name in compared} == {name: known[name] for name in compared}


@pytest.mark.parametrize("machine", sorted(TABLES))
def test_every_call_of_the_headers_was_looked_at(machine):
    known = {name for name, number in headers(machine).items() if number <= NEWEST}
    known -= {"syscalls", "arch_specific_syscall"}
    assert {name for name in known if name in DENIED} <= set(TABLES[machine].numbers)
    unseen = {n for n in known if n not in DENIED and n not in ALLOWED}
    assert {name for name in unseen if not ELSEWHERE.fullmatch(name)} == set()


def test_every_call_of_the_running_kernel_was_looked_at():
    """A kernel newer than the table is noticed here; until then its new calls answer ENOSYS."""
    prefix = {"x86_64": "__x64_sys_", "aarch64": "__arm64_sys_"}.get(platform.machine())
    symbols = Path("/proc/kallsyms")
    if prefix is None or not symbols.exists():
        pytest.skip("this machine does not list its kernel's system calls")
    names = set(re.findall(rf" {prefix}(\w+)", symbols.read_text()))
    if len(names) < 200:
        pytest.skip("this machine does not list its kernel's system calls")
    names = {ALIASES.get(name, name) for name in names}
    assert {n for n in names - DENIED - ALLOWED if not ELSEWHERE.fullmatch(n)} == set()


def test_nothing_is_both_denied_and_allowed():
    assert not DENIED & ALLOWED
    assert sum(len(group.split()) for group in GROUPS.values()) == len(DENIED)


@cache
def steps(machine: str) -> list[tuple[int, int, int, int]]:
    return list(struct.iter_unpack("=HBBI", compile_filter(TABLES[machine])))


def judge(machine: str, number: int, first: int = 0, *, audit: int | None = None) -> int:
    """Run the filter as the kernel would."""
    table = TABLES[machine]
    program = steps(machine)
    data = struct.pack(
        "<IIQ6Q", number, table.audit if audit is None else audit, 0, first, 0, 0, 0, 0, 0
    )
    accumulator, at = 0, 0
    while True:
        code, yes, no, value = program[at]
        at += 1
        match code:
            case 0x20:
                (accumulator,) = struct.unpack_from("<I", data, value)
            case 0x15:
                at += yes if accumulator == value else no
            case 0x35:
                at += yes if accumulator >= value else no
            case 0x45:
                at += yes if accumulator & value else no
            case 0x06:
                return value


@pytest.mark.parametrize("machine", sorted(TABLES))
def test_the_filter_says_what_the_table_says(machine):
    numbers = TABLES[machine].numbers
    special = {numbers["clone"], numbers["clone3"], numbers["prlimit64"]}
    denied = {numbers[name] for name in DENIED if name in numbers}
    for number in set(range(NEWEST + 1)) - special:
        assert judge(machine, number) == (ERRNO | EPERM if number in denied else ALLOW)
    for number in (NEWEST + 1, NEWEST + 2, 0x3FFF_FFFF):
        assert judge(machine, number) == ERRNO | ENOSYS
    assert judge(machine, 0, audit=0x4000_0003) == KILL_PROCESS
    assert judge(machine, numbers["clone3"]) == ERRNO | ENOSYS
    for bit in range(32):
        expected = ERRNO | EPERM if CLONE_NEW & 1 << bit else ALLOW
        assert judge(machine, numbers["clone"], 1 << bit) == expected
    assert judge(machine, numbers["prlimit64"], 0) == ALLOW
    assert judge(machine, numbers["prlimit64"], 1) == ERRNO | EPERM


def test_the_second_calling_convention_is_killed():
    assert judge("x86_64", 0x4000_0000) == KILL_PROCESS
    assert judge("x86_64", 0x4000_0000 + 41) == KILL_PROCESS
    assert judge("x86_64", 0xFFFF_FFFF) == KILL_PROCESS


def test_the_clone_flags_are_those_of_the_headers():
    path = Path("/usr/include/linux/sched.h")
    if not path.exists():
        pytest.skip("no kernel headers here")
    flags = dict(re.findall(r"#define CLONE_NEW(\w+)\s+(0x[0-9a-f]+)", path.read_text()))
    flags.pop("TIME", None)  # clone3 and unshare only; in clone the bit is part of the exit signal
    total = 0
    for value in flags.values():
        total |= int(value, 16)
    assert total == CLONE_NEW


def test_landlock_access_is_that_of_the_headers():
    path = Path("/usr/include/linux/landlock.h")
    if not path.exists():
        pytest.skip("no kernel headers here")
    bits = {
        n: 1 << int(b)
        for n, b in re.findall(
            r"#define LANDLOCK_ACCESS_FS_(\w+)\s+\(1ULL << (\d+)\)", path.read_text()
        )
    }
    assert bits["READ_FILE"] | bits["READ_DIR"] == READ
    kept = [n for n in bits if KEEP & bits[n]]
    assert set(kept) | {"TRUNCATE"} == {
        "READ_FILE",
        "READ_DIR",
        "WRITE_FILE",
        "REMOVE_DIR",
        "REMOVE_FILE",
        "MAKE_DIR",
        "MAKE_REG",
        "TRUNCATE",
    }
