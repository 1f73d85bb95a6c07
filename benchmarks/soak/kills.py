"""Killed at any moment: a batch and a training are stopped by SIGKILL again and again, and end as if nothing had been.

`python -m benchmarks.soak.kills --kills 20`
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.soak.samples import picture
from ranlen.io import images
from ranlen.io.images import Photo

ROOT = Path(__file__).parent.parent.parent


@dataclass(frozen=True)
class Outcome:
    """What became of a task.

    Attributes:
        kills: how often it was killed while it ran.
        same: whether it left what an undisturbed one leaves, to the byte.
        torn: files seen half written after a kill, by name.
    """

    kills: int
    same: bool
    torn: tuple[str, ...]


def run(command: list[str], seconds: float | None = None) -> int:
    """Run a command of ours, killed after some seconds if any; its exit code, or -9."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-m", *command], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def survive(
    command: Callable[[Path], list[str]],
    left: Callable[[Path], dict[str, str]],
    sound: Callable[[Path], list[str]],
    folder: Path,
    kills: int,
) -> Outcome:
    """Run a task undisturbed, then killed at random moments and started again until it ends.

    Args:
        command: the arguments of Python's -m, by the folder to write to; started anew it goes on.
        left: what counts of a folder, by name.
        sound: names of the files in it that are half written.
        folder: an empty one.
        kills: how often to kill.
    """
    chance = random.Random(0)
    started = time.monotonic()
    if code := run(command(folder / "whole")):
        raise RuntimeError(f"{command(folder / 'whole')} ends with {code} undisturbed")
    longest = time.monotonic() - started
    killed, torn = 0, []
    for number in range(1000):
        out = folder / f"killed-{number}"  # when it got through before its kill, another is begun
        while killed < kills and run(command(out), chance.uniform(0.4, 1.0) * longest) == -9:
            killed += 1
            torn += sound(out)
        if killed >= kills:
            break
    if code := run(command(out)):
        raise RuntimeError(f"{command(out)} ends with {code} after {killed} kills")
    ends = [each for each in sorted(folder.glob("killed-*")) if each.is_dir()]
    return Outcome(killed, all(left(each) == left(folder / "whole") for each in ends), tuple(torn))


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def batch(folder: Path, kills: int, count: int = 12) -> Outcome:
    """Lighting many photos."""
    photos = folder / "photos"
    photos.mkdir()
    for number in range(count):
        Photo((picture((300, 400)) // (2 + number % 3)).astype(np.uint8)).write(photos / f"{number:02}.jpg")
    names = [str(path) for path in sorted(photos.iterdir())]

    def command(out: Path) -> list[str]:
        return ["ranlen", "light", *names, "-o", str(out), "--circle", "200,150,80", "--model", "star_dce-ranlen"]

    def results(out: Path) -> list[Path]:
        return [path for path in sorted(out.glob("*")) if not path.name.startswith(".")] if out.is_dir() else []

    def torn(out: Path) -> list[str]:
        found = []
        for path in results(out):
            try:
                images.read(path)
            except images.ImageError as error:
                found.append(str(error))
        return found

    return survive(command, lambda out: {path.name: digest(path) for path in results(out)}, torn, folder, kills)


def training(folder: Path, kills: int) -> Outcome:
    """Training a network for a few epochs."""
    data = folder / "data"
    rng = np.random.default_rng(0)
    names = [f"s{number // 2}_{number % 2}" for number in range(10)]
    for side, share in (("high", 1.0), ("low", 0.25)):
        (data / side).mkdir(parents=True)
        for name in names:
            bright = picture((64, 64)) * rng.uniform(0.8, 1.0)
            Photo((bright * share).astype(np.uint8)).write(data / side / f"{name}.png")
    (data / "split.json").write_text(json.dumps({"train": names[:8], "test": names[8:]}))
    settings = {"backbone": "star_dce", "epochs": 4, "batch": 2, "threads": 1, "loss-size": 32, "device": "cpu"}
    flags = [word for name, value in settings.items() for word in (f"--{name}", str(value))]

    def command(out: Path) -> list[str]:
        again = ["--resume"] if (out / "last.pt").exists() else []
        return ["train", "--data", str(data), "--out", str(out), *flags, *again]

    def left(out: Path) -> dict[str, str]:
        rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
        told = [{name: value for name, value in row.items() if name != "seconds"} for row in rows]
        weights = card_free(out / "best.safetensors")
        return {"log": json.dumps(told), "weights": weights}

    def torn(out: Path) -> list[str]:
        from ranlen.models import weights
        from train.checkpoint import CheckpointError, load_checkpoint

        found = []
        try:
            if (out / "last.pt").exists():
                load_checkpoint(out / "last.pt")
            if (out / "best.safetensors").exists():
                weights.load(out / "best.safetensors")
        except (CheckpointError, weights.WeightsError) as error:
            found.append(str(error))
        return found

    return survive(command, left, torn, folder, kills)


def card_free(path: Path) -> str:
    """The digest of a file's tensors: its card names the folder it was made in."""
    data = path.read_bytes()
    return hashlib.sha256(data[8 + int.from_bytes(data[:8], "little") :]).hexdigest()


TASKS = {"batch": batch, "training": training}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20, help="of each task")
    parser.add_argument("--task", choices=TASKS, action="append")
    options = parser.parse_args()
    for name in options.task or TASKS:
        with tempfile.TemporaryDirectory() as folder:
            started = time.monotonic()
            print(name, TASKS[name](Path(folder), options.kills), f"{time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
