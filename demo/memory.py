"""Memory that visitors leave goes back to the machine. glibc keeps what is freed, an arena for each few threads."""

from __future__ import annotations

import ctypes

ARENA_MAX = -8  # M_ARENA_MAX in malloc.h
ARENAS = 2


def few_arenas() -> None:
    """Before there are threads: let them share arenas, of which each keeps the most that it ever held."""
    _glibc("mallopt", ARENA_MAX, ARENAS)


def give_back() -> None:
    """Give back what is free, in all arenas."""
    _glibc("malloc_trim", 0)


def _glibc(name: str, *arguments: int) -> None:
    try:
        call = getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):  # another C library, which keeps less or says nothing of it
        return
    call(*arguments)
