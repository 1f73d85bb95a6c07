"""Hostile input, many times a second: `python -m benchmarks.soak.fuzz --minutes 5`, or one finding again: `--case`.

Input is given to a process that may die: a crash, a hang of ten seconds, too much memory or an error that is not one
clear line becomes a finding, and another process goes on behind it. Case n of a target is the same on every machine.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import select
import subprocess
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.soak.targets import TARGETS, allowed

LONGEST_SECONDS = 10.0
MOST_MEMORY = 3 << 30  # of a process: the largest photo that is read, and what its decoder needs
LONGEST_MESSAGE = 500
START_SECONDS = 120.0  # a process may take to start


@dataclass
class Report:
    """What came out of it.

    Attributes:
        cases: how many inputs were tried, by target.
        values: how many of them were answered with a value; the rest with an error.
        slowest: seconds of the slowest case.
        peak: bytes of memory of the largest process.
        findings: what must be mended, each as one text.
    """

    cases: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TARGETS, 0))
    values: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TARGETS, 0))
    slowest: float = 0.0
    peak: int = 0
    findings: list[str] = field(default_factory=list)


def attempt(target: str, number: int, folder: Path) -> tuple[bool, str]:
    """Try one case; whether it gave a value, and what is wrong, if anything is."""
    chance = random.Random(f"{target}/{number}")
    try:
        TARGETS[target](chance, folder)
    except allowed(target) as error:
        text = str(error)
        if not text or "\n" in text or len(text) > LONGEST_MESSAGE:
            return False, f"a message that is not one clear line: {text[:LONGEST_MESSAGE]!r}"
        return False, ""
    except BaseException:
        return False, traceback.format_exc(limit=-6)
    return True, ""


def child() -> None:
    """Read cases, one a line, and answer each with a line of JSON."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for line in sys.stdin:
            target, number = line.split()
            for path in folder.iterdir():
                path.unlink()
            value, wrong = attempt(target, int(number), folder)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            sys.stdout.write(json.dumps([value, wrong, peak]) + "\n")
            sys.stdout.flush()


class Child:
    """A process that tries cases."""

    def __init__(self) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "PYTHONFAULTHANDLER": "1"}
        command = [sys.executable, "-m", "benchmarks.soak.fuzz", "--child"]
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (it goes with the process)
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True, env=environment
        )
        self.warm: set[str] = set()

    def attempt(self, target: str, number: int) -> tuple[bool, str, int] | str:
        """The child's answer, or how it failed to give one."""
        assert self.process.stdin
        assert self.process.stdout
        limit = LONGEST_SECONDS if target in self.warm else START_SECONDS  # imports and samples are made at the first
        self.warm.add(target)
        self.process.stdin.write(f"{target} {number}\n")
        self.process.stdin.flush()
        ready, _, _ = select.select([self.process.stdout], [], [], limit)
        line = self.process.stdout.readline() if ready else ""
        if line:
            value, wrong, peak = json.loads(line)
            return value, wrong, peak
        self.end()
        self.errors.seek(0)
        last = self.errors.read()[-2000:]
        return f"no answer in {limit:.0f} s" if not ready else f"died with {self.process.returncode}: {last}"

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


def fuzz(seconds: float, first: int = 0, targets: list[str] | None = None) -> Report:
    """Try the targets in turn, from a case number on, until the time is over."""
    report, until, number = Report(), time.monotonic() + seconds, first
    process = Child()
    while time.monotonic() < until:
        for target in targets or TARGETS:
            started = time.monotonic()
            answer = process.attempt(target, number)
            took = time.monotonic() - started
            report.cases[target] += 1
            if isinstance(answer, str):
                report.findings.append(f"{target} {number}: {answer}")
                process = Child()
                continue
            value, wrong, peak = answer
            report.values[target] += value
            report.slowest = max(report.slowest, took if report.cases[target] > 1 else 0)
            if wrong:
                report.findings.append(f"{target} {number}: {wrong}")
            if peak > MOST_MEMORY:
                report.findings.append(f"{target} {number}: {peak >> 20} MiB of memory")
            if peak > MOST_MEMORY or report.cases[target] % 20_000 == 0:  # a fresh one, to see its peak
                report.peak = max(report.peak, peak)
                process.end()
                process = Child()
            report.peak = max(report.peak, peak)
        number += 1
    process.end()
    return report


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--first", type=int, default=0, help="case number to begin with")
    parser.add_argument("--target", choices=TARGETS, action="append")
    parser.add_argument("--case", nargs=2, metavar=("TARGET", "NUMBER"), help="try one case, here")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child()
        return 0
    if options.case:
        with tempfile.TemporaryDirectory() as folder:
            print(*attempt(options.case[0], int(options.case[1]), Path(folder)))
        return 0
    report = fuzz(60 * options.minutes, options.first, options.target)
    print("\n\n".join(report.findings))
    print(report.cases, report.values, f"slowest {report.slowest:.1f} s, peak {report.peak >> 20} MiB")
    return 1 if report.findings else 0


if __name__ == "__main__":
    sys.exit(main())
