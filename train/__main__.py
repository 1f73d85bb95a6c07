"""python -m train --config FILE --data FOLDER --out FOLDER."""

from __future__ import annotations

import sys

from ranlen.io.images import ImageError
from ranlen.models.weights import WeightsError
from train.checkpoint import CheckpointError
from train.command import is_first, says_in_one_line
from train.config import ConfigError, parse_arguments
from train.data import DataError
from train.loop import TrainingError, train


@says_in_one_line("train", ConfigError, DataError, ImageError, CheckpointError, WeightsError, TrainingError)
def main(arguments: list[str] | None = None) -> int:
    """Train and print the best scores; 2 for a command that makes no sense or a run that cannot go on."""
    config, options = parse_arguments(arguments)
    best = train(config, resume=options.resume)
    if is_first():
        print("best epoch: " + ", ".join(f"{name} {value:.4g}" for name, value in best.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
