"""`make soak`: every promise is tried for minutes, and one line for each says what was seen.

A fifth of the time goes to hostile files, two fifths to the page, two fifths to kills. Ends with 1 if one is broken.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks import hostile, load
from benchmarks.soak import fuzz, kills

KILL_SECONDS = 15  # of a core for one kill, start included
REQUEST_SECONDS = 0.6
MOST_KEPT = 100  # MiB, of twenty visitors who have left
MOST_ABUSED = 4096  # MiB, with all that a crowd of 28 holds
MOST_GROWTH = 1.1  # of memory, over five times as many requests

Line = tuple[bool, str, str]  # kept or broken, the promise, its figure


def files(seconds: float) -> Iterator[Line]:
    """Promises about hostile input."""
    report = fuzz.fuzz(seconds, first=int(time.time()) % 10**6 * 1000)
    cases, values = sum(report.cases.values()), sum(report.values.values())
    figure = f"{cases:,} inputs, {values:,} read, {cases - values:,} refused, {len(report.findings)} findings"
    yield not report.findings, "hostile files end in a value or one clear line", figure
    yield report.slowest < fuzz.LONGEST_SECONDS, "none takes long", f"{report.slowest:.1f} s at most"
    yield report.peak < fuzz.MOST_MEMORY, "none fills memory", f"{report.peak >> 20} MiB at most"
    for finding in report.findings:
        print(finding, file=sys.stderr)


def page(seconds: float) -> Iterator[Line]:
    """Promises about the page."""
    with load.server() as running:
        answers = hostile.refusals(running.url)
        refused = [name for name, said in answers.items() if said[:3] in ("200", "403", "422") and len(said) > 20]
        wrong = [name for name in answers if name not in refused]
        figure = f"{len(refused)} of {len(answers)} kinds{': not ' + ', '.join(wrong) if wrong else ''}"
        yield not wrong, "hostile requests are refused in a sentence", figure
        strange = hostile.made_up_state(running.url)
        yield not strange, "made-up state shows nobody's picture", f"{len(strange)} shown"
        before, full, after = load.left(running, 20)
        figure = f"{before:.0f} MiB before 20 visitors, {full:.0f} with them, {after:.0f} after the last has left"
        yield after < before + MOST_KEPT, "who leaves gives memory back", figure
        with ThreadPoolExecutor(1) as pool:
            abused = pool.submit(load.abuse, running, seconds / 4)
            seen, strange_pictures = load.crowd(running.url, 28, seconds / 4)
            grown, sent, wrong = abused.result()
        figure = f"{seen} pictures, {strange_pictures} strange"
        yield strange_pictures == 0, "28 visitors beside two abusers see their own", figure
        figure = f"{sent} requests, {grown:.0f} MiB at most with the crowd's {wrong[:3] or ''}"
        yield not wrong and grown < MOST_ABUSED, "abusers are refused and fill nothing", figure
        said = load.flood(running.url, 80)
        polite = all(each.startswith("503 Queue is full") for each in said)
        yield bool(said) and polite, "a full queue says so", f"{len(said)} of 80 told: {said[0] if said else '-'}"
        left = load.leave(running)
        yield left < 30, "who leaves frees the queue", f"15 requests gone after {left:.1f} s"
        requests = max(25, min(500, int(seconds / 2 / REQUEST_SECONDS)))
        before, after = load.memory(running, requests)
        figure = f"{before:.0f} MiB after {requests // 5} requests, {after:.0f} MiB after {requests}"
        yield after < MOST_GROWTH * before, "memory is flat", figure
        leaks = load.log_leaks(running)
        yield not leaks, "the log tells no place, secret or traceback", f"{len(leaks)} lines {leaks[:3] or ''}"
        running.stop()
        yield not running.files(), "files go with the server", f"{len(running.files())} left after SIGTERM"


def killed(seconds: float) -> Iterator[Line]:
    """Promises about kill -9."""
    count = max(2, min(20, int(seconds / 2 / KILL_SECONDS)))
    for name, task in kills.TASKS.items():
        with tempfile.TemporaryDirectory() as folder:
            outcome = task(Path(folder), count)
        figure = (
            f"{outcome.kills} kills, {len(outcome.torn)} torn files, {'the same' if outcome.same else 'ANOTHER'} end"
        )
        yield outcome.same and not outcome.torn, f"a killed {name} goes on and ends alike", figure


PARTS = {"files": (files, 0.2), "page": (page, 0.4), "kills": (killed, 0.4)}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=20, help="about how long, on two free cores [20]")
    parser.add_argument("--part", choices=PARTS, action="append", help="only this, for its share of the time")
    options = parser.parse_args()
    seconds, broken = 60 * options.minutes, 0
    for part in options.part or PARTS:
        make, share = PARTS[part]
        for kept, promise, figure in make(share * seconds):
            broken += not kept
            print(f"{'kept  ' if kept else 'BROKEN'}  {promise + ' ':.<50} {figure}", flush=True)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
