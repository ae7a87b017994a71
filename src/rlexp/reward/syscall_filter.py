"""A seccomp filter in BPF: system calls that a program which only computes has no use for.

It is what makes a sandboxed program a single process. RLIMIT_NPROC cannot: a limit on the processes of a user does not
hold for the user root of the machine, in whichever user namespace and under whichever uid it runs (kernel/fork.c).
It also refuses what reaches past the namespaces (vsock, keyrings), what memory limits do not count (memfd, System V
shared memory), and the calls in which most holes of the kernel were found.

Source: https://docs.kernel.org/userspace-api/seccomp_filter.html; numbers: arch/*/.../syscall tables of Linux 6.1.
"""

from __future__ import annotations

import errno
import platform
import struct

AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
NEWEST = 450
"""Calls with a higher number came after the list below (and x86-64's second set, x32): they do not exist inside."""
REFUSED = """
clone 56 220        clone3 435 435      fork 57 -           vfork 58 -          ptrace 101 117
process_vm_readv 310 270                process_vm_writev 311 271               pidfd_getfd 438 438
kcmp 312 272        process_madvise 440 440                 process_mrelease 448 448
unshare 272 97      setns 308 268       chroot 161 51       pivot_root 155 41   mount 165 40
umount2 166 39      open_tree 428 428   move_mount 429 429  fsopen 430 430      fsconfig 431 431
fsmount 432 432     fspick 433 433      mount_setattr 442 442                   set_mempolicy_home_node 450 450
socket 41 198       io_uring_setup 425 425                  io_uring_enter 426 426
io_uring_register 427 427               bpf 321 280         perf_event_open 298 241
userfaultfd 323 282 fanotify_init 300 262                   name_to_handle_at 303 264
open_by_handle_at 304 265               add_key 248 217     request_key 249 218 keyctl 250 219
memfd_create 319 279                    memfd_secret 447 447                    shmget 29 194
msgget 68 186       semget 64 190       mq_open 240 180     remap_file_pages 216 234
mbind 237 235       set_mempolicy 238 237                   migrate_pages 256 238
move_pages 279 239  personality 135 92  modify_ldt 154 -    iopl 172 -          ioperm 173 -
kexec_load 246 104  kexec_file_load 320 294                 init_module 175 105 finit_module 313 273
delete_module 176 106                   acct 163 89         swapon 167 224      swapoff 168 225
reboot 169 142      syslog 103 116      quotactl 179 60     quotactl_fd 443 443 vhangup 153 58
settimeofday 164 170                    clock_settime 227 112                   adjtimex 159 171
clock_adjtime 305 266                   io_setup 206 0      sync 162 81         syncfs 306 267
"""
"""Name, number on x86-64 and number on aarch64 (- where there is none)."""

LOAD, EQUAL, AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06
ALLOW, KILL = 0x7FFF0000, 0x80000000
NUMBER, ARCHITECTURE = 0, 4
"""Offsets in struct seccomp_data."""


def refused(machine: str) -> dict[str, int]:
    """Name -> number of every refused system call on ``machine``."""
    words, column = REFUSED.split(), list(AUDIT_ARCH).index(machine) + 1
    rows = [words[start : start + 3] for start in range(0, len(words), 3)]
    return {row[0]: int(row[column]) for row in rows if row[column] != "-"}


def compiled(machine: str | None = None) -> bytes:
    """The filter as ``bwrap --seccomp`` takes it: an array of struct sock_filter; empty on an unknown architecture.

    A refused call answers EPERM, an unknown one ENOSYS; a call of another architecture kills the process.
    """
    machine = machine or platform.machine()
    if machine not in AUDIT_ARCH:
        return b""
    steps = [
        (LOAD, 0, 0, ARCHITECTURE),
        (EQUAL, 1, 0, AUDIT_ARCH[machine]),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER),
        (AT_LEAST, 0, 1, NEWEST + 1),
        (RETURN, 0, 0, _error(errno.ENOSYS)),
    ]
    for number in sorted(refused(machine).values()):
        steps += [(EQUAL, 0, 1, number), (RETURN, 0, 0, _error(errno.EPERM))]
    steps.append((RETURN, 0, 0, ALLOW))
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


def _error(number: int) -> int:
    return 0x00050000 | number
