"""The state a run resumes from: written in one step, read without unpickling code."""

from __future__ import annotations

import dataclasses
import io
import pickle
from pathlib import Path
from typing import Any

import torch

from ranlen.io.files import write_atomically
from train.config import TrainConfig

FREE = ("data", "photos", "subject_masks", "out", "threads", "device", "precision")  # where it runs may change


class CheckpointError(ValueError):
    """A checkpoint that cannot be resumed from; the message says why."""


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a state of tensors, numbers, strings and containers of them."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_atomically(path, buffer.getvalue())


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read what `save_checkpoint` wrote."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"nothing to resume: there is no {path}") from None
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        raise CheckpointError(f"{path} is damaged ({str(error).splitlines()[0]}); start without --resume") from None


def check_same(config: TrainConfig, saved: dict[str, Any]) -> None:
    """Refuse to resume a run under other settings than it began with; unknown ones had their defaults."""
    for field in dataclasses.fields(config):
        value, was = getattr(config, field.name), saved.get(field.name, field.default)
        if field.name not in FREE and was != value:
            raise CheckpointError(
                f"the run in {config.out} has {field.name} = {was!r}; resume it with that, or start anew"
            )
