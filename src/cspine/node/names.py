"""Names the processes of a node, and says which of them still live."""

import os
import socket


def process_name(role: str) -> str:
    """Returns the name of this process, which no other one on any machine has."""
    return f"{socket.gethostname()[:80]}:{role}:{os.getpid()}"


def is_dead_here(name: str, role: str) -> bool:
    """Says whether a process of this machine has ended; of those on other machines nobody knows."""
    host, _, rest = name.partition(f":{role}:")
    if host != socket.gethostname()[:80] or not rest.isdecimal():
        return False
    if int(rest) == os.getpid():
        return False
    try:
        os.kill(int(rest), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
