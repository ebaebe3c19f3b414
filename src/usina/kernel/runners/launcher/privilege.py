"""No capability, and no way to gain one."""

import struct

from usina.kernel.runners.launcher.system import prctl, set_capabilities

_PR_CAPBSET_DROP = 24
_PR_SET_SECUREBITS = 28
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT, _CLEAR_ALL = 47, 4
_NO_ROOT_LOCKED = 0b11
_VERSION_3 = 0x2008_0522
_MOST_CAPABILITIES = 64


def renounce() -> None:
    """From here on this process and all it starts have no privilege, whoever they run as.

    A set-user-id program gives none either. Raises ``OSError``.
    """
    prctl(_PR_SET_NO_NEW_PRIVS, 1)
    _tried(_PR_SET_SECUREBITS, _NO_ROOT_LOCKED)
    _tried(_PR_CAP_AMBIENT, _CLEAR_ALL)
    for capability in range(_MOST_CAPABILITIES):
        if not _tried(_PR_CAPBSET_DROP, capability):
            break
    set_capabilities(struct.pack("Ii", _VERSION_3, 0), bytes(24))


def _tried(option: int, value: int) -> bool:
    """Not allowed to who has no capability to begin with, and then not needed."""
    try:
        prctl(option, value)
    except OSError:
        return False
    return True
