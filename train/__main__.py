"""python -m train --config FILE --data FOLDER --out FOLDER."""

from __future__ import annotations

import os
import sys

from tqdm import tqdm

from ranlen.io.images import ImageError
from ranlen.models.weights import WeightsError
from train.checkpoint import CheckpointError
from train.config import ConfigError, parse_arguments
from train.data import DataError
from train.loop import TrainingError, train


def main(arguments: list[str]) -> int:
    """Train and print the best scores; 2 for a command that makes no sense or a run that cannot go on."""
    first = os.environ.get("RANK", "0") == "0"  # of the processes a launcher started: one says what they all know
    try:
        config, options = parse_arguments(arguments)
        best = train(config, resume=options.resume)
    except (ConfigError, DataError, ImageError, CheckpointError, WeightsError, TrainingError) as error:
        if first:
            tqdm.write(f"train: {error}", file=sys.stderr)  # on a line of its own, not behind a progress bar
        return 2
    if first:
        print("best epoch: " + ", ".join(f"{name} {value:.4g}" for name, value in best.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
