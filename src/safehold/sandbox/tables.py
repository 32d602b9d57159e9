"""Which system calls a job is refused, by name and by number, for each architecture.

Numbers are from arch/x86/entry/syscalls/syscall_64.tbl and scripts/syscall.tbl (arm64) of Linux
6.18; a test compares them with the kernel that runs. ``NEWEST`` is the last number of that release:
a call with a higher one was not looked at yet and answers "no such call", so a newer kernel opens
nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

NEWEST = 469

# Each group says why; the wording goes into the reference page.
GROUPS = MappingProxyType(
    {
        "the network: a job has none": (
            "socket connect bind listen accept accept4 getsockname getpeername setsockopt "
            "getsockopt shutdown sendmmsg recvmmsg"
        ),
        "other processes": (
            "ptrace process_vm_readv process_vm_writev process_madvise process_mrelease "
            "pidfd_open pidfd_getfd pidfd_send_signal kcmp move_pages migrate_pages"
        ),
        "leaving the process group, where the parent would lose it": ("setsid setpgid"),
        "other programs: the interpreter is already running": ("execve execveat uselib"),
        "memory shared by key or name across processes": (
            "shmget shmat shmctl shmdt semget semop semtimedop semctl msgget msgsnd msgrcv "
            "msgctl mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr"
        ),
        "namespaces and mounts": (
            "unshare setns mount umount2 pivot_root chroot open_tree open_tree_attr "
            "move_mount fsopen fsconfig fsmount fspick mount_setattr statmount listmount"
        ),
        "identity and capabilities": (
            "setuid setgid setreuid setregid setresuid setresgid setgroups setfsuid setfsgid capset"
        ),
        "files by handle, around every path rule": (
            "open_by_handle_at name_to_handle_at fanotify_init fanotify_mark"
        ),
        "kernel surface a computation never needs": (
            "bpf perf_event_open userfaultfd io_uring_setup io_uring_enter "
            "io_uring_register io_setup io_submit io_getevents io_pgetevents io_cancel "
            "io_destroy keyctl add_key request_key memfd_secret seccomp personality "
            "modify_ldt iopl ioperm vhangup lookup_dcookie map_shadow_stack uretprobe "
            "remap_file_pages vmsplice lsm_set_self_attr ustat sysfs _sysctl nfsservctl"
        ),
        "the machine itself": (
            "init_module finit_module delete_module create_module query_module "
            "get_kernel_syms kexec_load kexec_file_load reboot swapon swapoff acct quotactl "
            "quotactl_fd syslog settimeofday clock_settime clock_adjtime adjtimex "
            "sethostname setdomainname mknod mknodat"
        ),
    }
)
DENIED = frozenset(name for group in GROUPS.values() for name in group.split())


@dataclass(frozen=True, slots=True)
class Table:
    """One architecture.

    Args:
        audit: Its AUDIT_ARCH value (include/uapi/linux/audit.h).
        numbers: Number of each denied call that exists there, and of the calls whose
            arguments are looked at (``clone``, ``clone3``, ``prlimit64``).
        compat: Bit set in the numbers of a second calling convention, 0 if it has none.
    """

    audit: int
    numbers: MappingProxyType[str, int]
    compat: int = 0


def _numbers(text: str) -> MappingProxyType[str, int]:
    return MappingProxyType(
        {name: int(number) for name, _, number in (word.partition("=") for word in text.split())}
    )


_X86_64 = _numbers(
    """
        shmget=29 shmat=30 shmctl=31 socket=41 connect=42 accept=43 shutdown=48 bind=49
        listen=50 getsockname=51 getpeername=52 setsockopt=54 getsockopt=55 clone=56 execve=59
        prlimit64=302
        semget=64 semop=65 semctl=66 shmdt=67 msgget=68 msgsnd=69 msgrcv=70 msgctl=71 ptrace=101
        syslog=103 setuid=105 setgid=106 setpgid=109 setsid=112 setreuid=113 setregid=114
        setgroups=116 setresuid=117 setresgid=119 setfsuid=122 setfsgid=123 capset=126 mknod=133
        uselib=134 personality=135 ustat=136 sysfs=139 vhangup=153 modify_ldt=154 pivot_root=155
        _sysctl=156 adjtimex=159 chroot=161 acct=163 settimeofday=164 mount=165 umount2=166
        swapon=167 swapoff=168 reboot=169 sethostname=170 setdomainname=171 iopl=172 ioperm=173
        create_module=174 init_module=175 delete_module=176 get_kernel_syms=177 query_module=178
        quotactl=179 nfsservctl=180 io_setup=206 io_destroy=207 io_getevents=208 io_submit=209
        io_cancel=210 lookup_dcookie=212 remap_file_pages=216 semtimedop=220 clock_settime=227
        mq_open=240 mq_unlink=241 mq_timedsend=242 mq_timedreceive=243 mq_notify=244
        mq_getsetattr=245 kexec_load=246 add_key=248 request_key=249 keyctl=250
        migrate_pages=256 mknodat=259 unshare=272 vmsplice=278 move_pages=279 accept4=288
        perf_event_open=298 recvmmsg=299 fanotify_init=300 fanotify_mark=301
        name_to_handle_at=303 open_by_handle_at=304 clock_adjtime=305 sendmmsg=307 setns=308
        process_vm_readv=310 process_vm_writev=311 kcmp=312 finit_module=313 seccomp=317
        kexec_file_load=320 bpf=321 execveat=322 userfaultfd=323 io_pgetevents=333 uretprobe=335
        pidfd_send_signal=424 io_uring_setup=425 io_uring_enter=426 io_uring_register=427
        open_tree=428 move_mount=429 fsopen=430 fsconfig=431 fsmount=432 fspick=433
        pidfd_open=434 clone3=435 pidfd_getfd=438 process_madvise=440 mount_setattr=442
        quotactl_fd=443 memfd_secret=447 process_mrelease=448 map_shadow_stack=453 statmount=457
        listmount=458 lsm_set_self_attr=460 open_tree_attr=467
    """
)
_AARCH64 = _numbers(
    """
        io_setup=0 io_destroy=1 io_submit=2 io_cancel=3 io_getevents=4 lookup_dcookie=18
        mknodat=33 umount2=39 mount=40 pivot_root=41 nfsservctl=42 chroot=51 vhangup=58
        quotactl=60 vmsplice=75 acct=89 capset=91 personality=92 unshare=97 kexec_load=104
        init_module=105 delete_module=106 clock_settime=112 syslog=116 ptrace=117 reboot=142
        setregid=143 setgid=144 setreuid=145 setuid=146 setresuid=147 setresgid=149 setfsuid=151
        setfsgid=152 setpgid=154 setsid=157 setgroups=159 sethostname=161 setdomainname=162
        settimeofday=170 adjtimex=171 mq_open=180 mq_unlink=181 mq_timedsend=182
        mq_timedreceive=183 mq_notify=184 mq_getsetattr=185 msgget=186 msgctl=187 msgrcv=188
        msgsnd=189 semget=190 semctl=191 semtimedop=192 semop=193 shmget=194 shmctl=195
        shmat=196 shmdt=197 socket=198 bind=200 listen=201 accept=202 connect=203
        getsockname=204 getpeername=205 setsockopt=208 getsockopt=209 shutdown=210 add_key=217
        request_key=218 keyctl=219 clone=220 prlimit64=261 execve=221 swapon=224 swapoff=225
        remap_file_pages=234 migrate_pages=238 move_pages=239 perf_event_open=241 accept4=242
        recvmmsg=243 fanotify_init=262 fanotify_mark=263 name_to_handle_at=264
        open_by_handle_at=265 clock_adjtime=266 setns=268 sendmmsg=269 process_vm_readv=270
        process_vm_writev=271 kcmp=272 finit_module=273 seccomp=277 bpf=280 execveat=281
        userfaultfd=282 io_pgetevents=292 kexec_file_load=294 pidfd_send_signal=424
        io_uring_setup=425 io_uring_enter=426 io_uring_register=427 open_tree=428 move_mount=429
        fsopen=430 fsconfig=431 fsmount=432 fspick=433 pidfd_open=434 clone3=435 pidfd_getfd=438
        process_madvise=440 mount_setattr=442 quotactl_fd=443 memfd_secret=447
        process_mrelease=448 map_shadow_stack=453 statmount=457 listmount=458
        lsm_set_self_attr=460 open_tree_attr=467
    """
)

TABLES = MappingProxyType(
    {
        "x86_64": Table(0xC000_003E, _X86_64, compat=0x4000_0000),
        "aarch64": Table(0xC000_00B7, _AARCH64),
    }
)
