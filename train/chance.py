"""Random numbers: everything random takes a `torch.Generator`."""

from __future__ import annotations

import numpy as np
import torch


def generator_of(*numbers: int) -> torch.Generator:
    """A generator seeded by several numbers, unrelated to those of their neighbours."""
    return torch.Generator().manual_seed(int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1))


def uniform(low: float, high: float, generator: torch.Generator) -> float:
    """A number between low and high."""
    return low + (high - low) * float(torch.rand((), generator=generator))


def normal(shape: tuple[int, ...], generator: torch.Generator) -> np.ndarray:
    """Numbers of a normal distribution, float32."""
    return torch.randn(shape, generator=generator).numpy()


def whole(count: int, generator: torch.Generator) -> int:
    """A whole number from 0 to count - 1."""
    return int(torch.randint(count, (), generator=generator))
