"""What a run shows on TensorBoard: losses, validation scores, the learning rate, and a few validation photos."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from ranlen.masks.regions import RegionMask
from ranlen.models.enhancer import Enhancer
from ranlen.models.light import render
from train.data import SIZE, Pairs


class Board:
    """Writes to a folder for TensorBoard, or nothing where TensorBoard is not installed.

    Every method may raise OSError, when the disk refuses.

    Args:
        folder: where event files go.
        step: the step the run begins or goes on at; what a killed run showed after it is not shown twice.
    """

    EVERY = 5  # epochs from pictures to pictures

    def __init__(self, folder: Path, step: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            tqdm.write("train: no TensorBoard here (pip install tensorboard); log.jsonl has the same figures")
            self.writer = None
        else:
            self.writer = SummaryWriter(folder, purge_step=step + 1)

    def show(self, step: int, losses: Mapping[str, float], scores: Mapping[str, float], rate: float) -> None:
        """Show the figures of an epoch: mean losses, validation scores, learning rate."""
        if self.writer:
            figures = {f"losses/{name}": value for name, value in losses.items()}
            figures |= {f"validation/{name}": value for name, value in scores.items()}
            for name, value in {**figures, "learning rate": rate}.items():
                self.writer.add_scalar(name, value, step)
            self.writer.flush()

    def show_pictures(self, step: int, network: Enhancer, pairs: Pairs) -> None:
        """Show what the network makes of a few pairs."""
        if self.writer:
            self.writer.add_image("photo, result, reference", sheet(network, pairs), step)
            self.writer.flush()


@torch.inference_mode()
def sheet(network: Enhancer, pairs: Pairs) -> Tensor:
    """Photo, result and reference of up to four pairs spread over all, a row each: (3, rows * 256, 3 * 256)."""
    chosen = slice(None, None, -(-len(pairs) // 4))
    device = next(network.parameters()).device
    low, high = (side[chosen].to(device) / 255 for side in (pairs.low, pairs.high))
    mask = RegionMask(RegionMask.paper_circle(SIZE).to(device).tensor.expand(len(low), -1, -1, -1))
    network.eval()
    lit = render(network.predict(low, mask), low, attenuation=network.method.attenuation(mask))
    return torch.cat(list(torch.cat([low, lit, high], dim=3)), dim=1).cpu()
