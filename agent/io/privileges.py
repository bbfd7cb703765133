"""The process gives up what it does not need: user, capabilities, and ways to get more.

Python has no call for these, so the C library and the kernel are asked through ctypes. All of
it is a thread's own: to be done before there is a second one.
"""

from __future__ import annotations

import ctypes
import errno
import os
import pwd
from collections.abc import Iterable
from pathlib import Path

import agent
from agent.errors import BugError, ConfigError

_NAMES = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE "
    "NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO "
    "SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME "
    "SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG "
    "WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
)
NAMES = tuple(_NAMES.split())
"""Capabilities of capabilities(7) by number, without their CAP_."""
_VERSION_3 = 0x20080522
_KEEP_CAPABILITIES, _BOUNDING_READ, _BOUNDING_DROP = 8, 23, 24
_NO_NEW_PRIVILEGES, _AMBIENT, _AMBIENT_CLEAR = 38, 47, 4
_MOST = 64
_libc = ctypes.CDLL(None, use_errno=True)


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Half(ctypes.Structure):
    """Of three sets the lower or the upper 32 bits."""

    _fields_ = tuple((name, ctypes.c_uint32) for name in ("effective", "permitted", "inheritable"))


def number(word: str) -> int:
    """A capability as `NET_RAW` or `CAP_NET_RAW`; ConfigError for what is none."""
    name = word.upper().removeprefix("CAP_")
    if name not in NAMES:
        raise ConfigError(f"{word} is no capability; see capabilities(7)")
    return NAMES.index(name)


def drop(keep: Iterable[str], user: str = "") -> list[str]:
    """Go on as `user` ("": as now), with no more than `keep`; those of it that are not there.

    What is started from here on cannot get more either. ConfigError for an unknown name, where
    the user cannot be changed, or where this program's own files could not be read any more.
    """
    if len(os.listdir("/proc/self/task")) > 1:
        raise BugError("privileges are dropped before there are threads")
    numbers = {number(word) for word in keep}
    account = _account(user) if user else None
    _bound(numbers)
    if account is not None:
        _become(account)
    wanted = sum(1 << one for one in numbers)
    held = permitted() & wanted
    _hold(held)
    _control(_AMBIENT, _AMBIENT_CLEAR)
    _control(_NO_NEW_PRIVILEGES, 1)
    _still_readable()
    return [NAMES[one] for one in sorted(numbers) if not held >> one & 1]


def permitted() -> int:
    """The capabilities that this thread may use, a bit each."""
    halves = (_Half * 2)()
    _call(_libc.capget, ctypes.byref(_Header(_VERSION_3, 0)), halves)
    return int(halves[0].permitted) | int(halves[1].permitted) << 32


def _account(user: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(user)
    except KeyError:
        raise ConfigError(f"[DEFAULT] user = {user}: there is no such user") from None


def _bound(keep: set[int]) -> None:
    """Nothing that is started can have more than this; without SETPCAP that stays as it is."""
    for one in range(_MOST):
        try:
            if not _control(_BOUNDING_READ, one) or one in keep:
                continue
            _control(_BOUNDING_DROP, one)
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.EPERM):
                return
            raise


def _become(account: pwd.struct_passwd) -> None:
    """Capabilities outlast the change, to be given up one by one."""
    uid, gid = account.pw_uid, account.pw_gid
    if os.getresuid() == (uid, uid, uid):
        return
    try:
        _control(_KEEP_CAPABILITIES, 1)
        os.setgroups(os.getgrouplist(account.pw_name, gid))
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    except OSError as error:
        reason = f"[DEFAULT] user = {account.pw_name}: cannot change to it from user"
        raise ConfigError(f"{reason} {os.getuid()}: {error.strerror}") from None


def _hold(mask: int) -> None:
    low, high = mask & 0xFFFFFFFF, mask >> 32
    halves = (_Half * 2)(_Half(low, low, 0), _Half(high, high, 0))
    _call(_libc.capset, ctypes.byref(_Header(_VERSION_3, 0)), halves)


def _still_readable() -> None:
    """Modules are imported while we run, too."""
    program = Path(agent.__file__)
    if not os.access(program, os.R_OK):
        hint = "install it where everybody may read"
        more = "or set [DEFAULT] further_capabilities = DAC_READ_SEARCH"
        raise ConfigError(f"{program} cannot be read without privileges: {hint}, {more}")


def _control(option: int, value: int) -> int:
    zero = ctypes.c_ulong(0)
    return _call(_libc.prctl, option, ctypes.c_ulong(value), zero, zero, zero)


def _call(function: ctypes._NamedFuncPointer, *arguments: object) -> int:
    result = int(function(*arguments))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
