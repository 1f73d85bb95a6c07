"""What the scripts of this folder have in common as commands."""

from __future__ import annotations

import argparse
import functools
import os
import sys
from collections.abc import Callable
from typing import Any

from tqdm import tqdm

Main = Callable[[list[str] | None], int]


def is_first() -> bool:
    """Whether this is the one process, of those that a launcher started, that says what all know."""
    return os.environ.get("RANK", "0") == "0"


def says_in_one_line(name: str, *errors: type[Exception]) -> Callable[[Main], Callable[..., int]]:
    """A `main` that answers some errors with one line on stderr, after the script's name, and exit code 2."""

    def around(main: Main) -> Callable[..., int]:
        @functools.wraps(main)
        def run(arguments: list[str] | None = None) -> int:
            try:
                return main(arguments)
            except errors as error:
                if is_first():
                    tqdm.write(f"{name}: {' '.join(str(error).split())}", file=sys.stderr)  # not behind a progress bar
                return 2

        return run

    return around


def add_old_name(parser: argparse.ArgumentParser, flag: str, now: str, kind: Callable[[str], Any] = str) -> None:
    """An option's name of before, which still works and which the help does not show."""
    parser.add_argument(flag, dest=now, type=kind, default=argparse.SUPPRESS, help=argparse.SUPPRESS)
