"""How sure a mean over few photos is: bootstrap intervals over scenes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from train.data import scene

RESAMPLES = 2000
CENTRAL = (2.5, 97.5)  # percentiles: a 95 % interval
SEED = 0


def describe(names: Sequence[str]) -> dict[str, str | int]:
    """What `resample` draws: {"over": "scenes" or "photos", "count", "resamples", "seed"}."""
    count = len({scene(name) for name in names})
    over = "photos" if count == len(names) else "scenes"
    return {"over": over, "count": count, "resamples": RESAMPLES, "seed": SEED}


def resample(names: Sequence[str], seed: int = SEED) -> np.ndarray:
    """How often each photo counts in each resample, (RESAMPLES, N): whole scenes are drawn, with replacement.

    Frames of one scene are no independent evidence: drawn one by one they would make intervals look tighter than they
    are. The same names give the same resamples, which is what makes the difference of two models paired; sets that have
    nothing to do with each other want seeds of their own.
    """
    _, group = np.unique([scene(name) for name in names], return_inverse=True)
    count = int(group.max()) + 1
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), RESAMPLES)
    return drawn[:, group]


def interval(values: np.ndarray, counts: np.ndarray) -> list[float] | None:
    """The 95 % interval of the mean over photos, [low, high]; none where fewer than two scenes have a value.

    Args:
        values: (N,), NaN where a photo has none.
        counts: (RESAMPLES, N), from `resample`.
    """
    there = ~np.isnan(values)
    if not there.any() or not np.ptp(counts[:, there], axis=1).any():  # photos of one scene always count alike
        return None
    return central(resampled(values, counts))


def resampled(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The mean over photos in each resample, (RESAMPLES,); arguments as of `interval`."""
    there = ~np.isnan(values)
    with np.errstate(invalid="ignore"):  # a resample without any of the photos that have a value
        return counts @ np.where(there, values, 0.0) / (counts @ there)


def central(means: np.ndarray) -> list[float]:
    """Where the middle 95 % of the resampled means lie, [low, high]."""
    return [float(x) for x in np.nanpercentile(means, CENTRAL)]
