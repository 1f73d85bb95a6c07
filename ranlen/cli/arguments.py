"""Arguments of the command line, their kinds and defaults: what is wrong with one is said in one line."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import NoReturn

from ranlen.facts import MAX_DEGREE


class OneLineParser(argparse.ArgumentParser):
    """An ArgumentParser that puts a usage error into one line."""

    def error(self, message: str) -> NoReturn:
        """Exit with code 2."""
        self.exit(2, f"ranlen: {message} (see `{self.prog} --help`)\n")


def numbers(count: int) -> Callable[[str], tuple[float, ...]]:
    """An argument type: `count` numbers with commas between."""

    def parse(text: str) -> tuple[float, ...]:
        try:
            values = tuple(float(part) for part in text.split(","))
        except ValueError:
            values = ()
        if len(values) != count or not all(abs(value) < 1e9 for value in values):
            raise argparse.ArgumentTypeError(f"needs {count} numbers with commas between; got {text!r}")
        return values

    return parse


def between(low: float, high: float, text: str) -> float:
    """A number within limits, for argparse."""
    try:
        value = float(text)
    except ValueError:
        value = low - 1
    if not low <= value <= high:
        raise argparse.ArgumentTypeError(f"needs a number from {low:g} to {high:g}; got {text!r}")
    return value


def degree(text: str) -> float:
    """An argument type: how much light."""
    return between(0, MAX_DEGREE, text)


def fraction(text: str) -> float:
    """An argument type: a share."""
    return between(0, 1, text)


def amount(text: str) -> float | None:
    """An argument type: a share, or "auto", which is none."""
    if text == "auto":
        return None
    try:
        return fraction(text)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(f'needs "auto" or a number from 0 to 1; got {text!r}') from None
