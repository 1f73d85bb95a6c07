"""What the scripts of this folder have in common as commands."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable

Main = Callable[[list[str] | None], int]


def says_in_one_line(name: str, *errors: type[Exception]) -> Callable[[Main], Callable[..., int]]:
    """A `main` that answers some errors with one line on stderr, after the script's name, and exit code 2."""

    def around(main: Main) -> Callable[..., int]:
        @functools.wraps(main)
        def run(arguments: list[str] | None = None) -> int:
            try:
                return main(arguments)
            except errors as error:
                sys.stderr.write(f"{name}: {error}\n")
                return 2

        return run

    return around
