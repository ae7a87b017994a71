"""The filter of system calls, run by hand: what each call is answered."""

from __future__ import annotations

import errno
import struct

import pytest

from rlexp.reward import syscall_filter
from rlexp.reward.syscall_filter import ALLOW, AUDIT_ARCH, KILL, NEWEST, compiled, refused

EPERM, ENOSYS = 0x50000 | errno.EPERM, 0x50000 | errno.ENOSYS


def answer(program: bytes, architecture: int, number: int) -> int:
    """What the kernel would do: the instructions are those of struct sock_filter."""
    steps = [struct.unpack("=HBBI", program[start : start + 8]) for start in range(0, len(program), 8)]
    place = value = 0
    while True:
        code, yes, no, constant = steps[place]
        if code == 0x20:
            value = {0: number, 4: architecture}[constant]
        elif code == 0x15:
            place += yes if value == constant else no
        elif code == 0x35:
            place += yes if value >= constant else no
        else:
            assert code == 0x06
            return constant
        place += 1


@pytest.mark.parametrize("machine", AUDIT_ARCH)
def test_refused_calls_answer_eperm_unknown_ones_enosys_and_all_others_pass(machine):
    program, architecture, numbers = compiled(machine), AUDIT_ARCH[machine], set(refused(machine).values())
    for number in range(NEWEST + 1):
        assert answer(program, architecture, number) == (EPERM if number in numbers else ALLOW), number
    for number in (NEWEST + 1, 1000, 0x40000000):
        assert answer(program, architecture, number) == ENOSYS
    assert answer(program, 0x40000003, 0) == KILL


@pytest.mark.parametrize(
    ("name", "x86", "arm"),
    [
        *(("clone", 56, 220), ("socket", 41, 198), ("fork", 57, None), ("kexec_load", 246, 104)),
        *(("io_setup", 206, 0), ("syncfs", 306, 267), ("ptrace", 101, 117)),
    ],
)
def test_a_call_has_the_number_of_its_machine(name, x86, arm):
    assert refused("x86_64")[name] == x86 and refused("aarch64").get(name) == arm


def test_every_row_of_the_table_is_a_name_and_two_numbers():
    words = syscall_filter.REFUSED.split()
    assert len(words) % 3 == 0 and len(refused("x86_64")) == len({*words[::3]}) == len(words) // 3
    assert all(name.isidentifier() for name in words[::3])
    assert all(number == "-" or number.isdigit() for number in (*words[1::3], *words[2::3]))


def test_an_unknown_machine_has_none_and_by_default_it_is_this_one(monkeypatch):
    assert compiled("riscv64") == b""
    monkeypatch.setattr(syscall_filter.platform, "machine", lambda: "aarch64")
    assert compiled() == compiled("aarch64") != compiled("x86_64")
