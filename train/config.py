"""What a training run is made of: one dataclass, overridden by a TOML file, then by flags."""

from __future__ import annotations

import argparse
import dataclasses
import math
import reprlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

from ranlen.io.files import FileError, read_bytes, shown
from ranlen.methods import ABLATIONS, METHODS
from ranlen.models.backbones import BACKBONES
from train.command import add_old_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


MAX_BYTES = 1 << 20  # of a file of settings
OLD_SETTINGS = {"silhouettes": "subject_masks"}  # files of settings and cards of before say it so
TRAINABLE = [name for name, method in (METHODS | ABLATIONS).items() if method.weights is None]


class ConfigError(ValueError):
    """A setting that cannot be; the message says which, what was received and what is allowed."""


@dataclass(frozen=True)
class TrainConfig:
    """Every setting of a run. The defaults are ours; `configs/` holds what differs from them."""

    backbone: str = "deepupe"
    method: str = "ranlen"
    metered: bool = True  # a light meter points at Area A; without one, the paper's network
    data: str = ""  # folder with low/, high/ and split.json; or that the folders in `sources` are in
    sources: str = (
        ""  # TOML file that lists what to learn from, see train/mixture.py; none: `data`, `photos`, `subject_masks`
    )
    length: int = 2000  # examples in an epoch, of sources
    lessons: int = (
        4000  # photos, of sources, for the last layers of the meter when the rest is done; see train/meter.py
    )
    lesson_steps: int = 3000
    photos: str = ""  # folders of good photos, with commas between; darkened on the fly into more pairs
    photos_per_pair: float = 0.25  # how many darkened photos go into an epoch for each pair
    subject_masks: str = ""  # folder of subject masks (white on black) to draw mask shapes from
    out: str = ""  # folder of the run: log, checkpoints, weights
    start: str = ""  # global weights (a published name or a file) that a local network starts from; none: from scratch
    epochs: int = 50
    batch: int = 8  # of all processes together
    lr: float = 1e-3
    schedule: str = "cosine"  # or "constant"
    weight_decay: float = 1e-5
    clip: float = 1.0  # gradient norm; 0 for no limit
    ema: float = 0.995  # decay of the averaged weights that are validated and published; 0 for none
    alpha: float = 1.0  # weights of Eq. 5
    beta: float = 1e-3  # the paper has 1e-4
    gamma: float = 1.0
    fade: float = 1.0  # weight of the faded reference in B, which the paper has not; 0 is Eq. 5 as published
    smooth_on: str = "light"  # what is smooth in B where curves are predicted; "picture" is the paper's
    paper_masks: float = 0.5  # share of circles as in Section 4.2; the rest are other shapes
    loss_size: int = 128  # side at which light and losses are computed; the network always sees 256
    exposure_jitter: float = 0.5  # stops, in linear light, up or down
    validation: float = 0.1  # share of the training scenes kept for choosing the checkpoint
    seed: int = 0
    threads: int = 0  # CPU threads; 0 leaves the choice to torch
    device: str = "auto"  # or "cpu", "cuda"
    precision: str = "bf16"  # of the network's pass on a GPU, or "float32"; light, losses and CPUs are always float32

    def __post_init__(self) -> None:
        checks = {
            "backbone": (self.backbone in BACKBONES, f"one of {', '.join(BACKBONES)}"),
            "method": (self.method in TRAINABLE, f"one of {', '.join(TRAINABLE)}"),
            "schedule": (self.schedule in ("cosine", "constant"), "cosine or constant"),
            "smooth_on": (self.smooth_on in ("light", "picture"), "light or picture"),
            "device": (self.device in ("auto", "cpu", "cuda"), "auto, cpu or cuda"),
            "precision": (self.precision in ("bf16", "float32"), "bf16 or float32"),
            "loss_size": (32 <= self.loss_size <= 256, "from 32 to 256"),
            "ema": (0 <= self.ema < 1, "at least 0 and below 1"),
            "validation": (0 < self.validation < 1, "between 0 and 1"),
            "paper_masks": (0 <= self.paper_masks <= 1, "from 0 to 1"),
            "seed": (0 <= self.seed < 2**63, "from 0 to 2^63 - 1"),
        }
        positive = ("epochs", "batch", "lr", "length")
        checks |= {name: (0 < getattr(self, name) < math.inf, "above 0") for name in positive}
        not_negative = (
            "photos_per_pair",
            "weight_decay",
            "clip",
            "alpha",
            "beta",
            "gamma",
            "fade",
            "exposure_jitter",
            "threads",
            "lessons",
            "lesson_steps",
        )
        checks |= {name: (0 <= getattr(self, name) < math.inf, "at least 0") for name in not_negative}
        for name, (right, rule) in checks.items():
            if not right:
                raise ConfigError(f"{name} must be {rule}; got {reprlib.repr(getattr(self, name))}")


def in_todays_words(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The same settings under the names that they have now."""
    return {OLD_SETTINGS.get(name, name): value for name, value in settings.items()}


def load_config(path: Path | None, overrides: dict[str, Any]) -> TrainConfig:
    """Defaults, then a TOML file, then overrides; unknown names and wrong types are refused."""
    settings: dict[str, Any] = {}
    if path is not None:
        try:
            settings = tomllib.loads(read_bytes(path, MAX_BYTES).decode("utf-8-sig"))
        except FileError as error:
            raise ConfigError(f"no such config: {shown(path)}" if not path.exists() else str(error)) from None
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"{shown(path)} is not valid TOML: {error}") from None
    types, source = get_type_hints(TrainConfig), shown(path or "")
    if twice := [before for before, now in OLD_SETTINGS.items() if {before, now} <= settings.keys()]:
        raise ConfigError(f"{source}: {twice[0]} is the old name of {OLD_SETTINGS[twice[0]]}; leave it out")
    settings = in_todays_words(settings)
    for name, value in settings.items():
        if name not in types:
            raise ConfigError(f"{source}: unknown setting {reprlib.repr(name)}; known are {', '.join(types)}")
        if type(value) is not types[name] and not (types[name] is float and type(value) is int):
            raise ConfigError(f"{source}: {name} must be of type {types[name].__name__}; got {reprlib.repr(value)}")
    return TrainConfig(**{**settings, **overrides})


def parse_arguments(arguments: list[str] | None) -> tuple[TrainConfig, argparse.Namespace]:
    """Read a command line: --config FILE, --resume, and one --name value for each setting."""
    parser = argparse.ArgumentParser(prog="python -m train", description="Train one network; see train/README.md.")
    parser.add_argument("--config", type=Path, help="TOML file of settings")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint in --out")
    for name, kind in get_type_hints(TrainConfig).items():
        assert not get_args(kind)
        flag = f"--{name.replace('_', '-')}"
        if kind is bool:
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS)
        else:
            parser.add_argument(flag, type=kind, default=argparse.SUPPRESS, metavar=kind.__name__)
    add_old_name(parser, "--silhouettes", "subject_masks")
    options = parser.parse_args(arguments)
    names = {field.name for field in dataclasses.fields(TrainConfig)}
    config = load_config(options.config, {name: value for name, value in vars(options).items() if name in names})
    return config, options
