"""python -m train --config FILE --data FOLDER --out FOLDER."""

from __future__ import annotations

import sys

from ranlen.weights import WeightsError
from train.checkpoint import CheckpointError
from train.config import ConfigError, parse_arguments
from train.data import DataError
from train.loop import train


def main(arguments: list[str]) -> int:
    """Train and print the best scores; 2 for a command that makes no sense."""
    try:
        config, options = parse_arguments(arguments)
        best = train(config, resume=options.resume)
    except (ConfigError, DataError, CheckpointError, WeightsError) as error:
        print(f"train: {error}", file=sys.stderr)
        return 2
    print("best epoch: " + ", ".join(f"{name} {value:.4g}" for name, value in best.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
