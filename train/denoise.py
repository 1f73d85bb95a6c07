"""Train the denoiser: `python -m train.denoise --data ROOT --out RUN`. An hour on one core; resumable.

Good photos of the published networks' sources get noise (`train.noise`); of a set of real pairs in the dark the noisy
one is itself, and the other, brought to its exposure, what it should be.
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import tomllib
import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from ranlen.denoise import FILE, load_weights
from ranlen.models import weights
from ranlen.models.denoiser import Denoiser, companded
from train import data, mixture, noise, underexposure
from train.chance import generator_of, uniform, whole
from train.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from train.command import says_in_one_line
from train.export import export_denoiser
from train.loop import made_ahead
from train.mixture import Source
from train.publish import write_scores

SIDE = 128  # of what the network sees at a time
MOST_ISO = 51_200
REAL = 0.3  # share of real pairs
SIDES = ("noisy", "clean")


@dataclass(frozen=True)
class Examples:
    """What batches are drawn from; a batch is a pure function of (seed, step).

    Attributes:
        sources: good photos.
        profiles: noise, see `underexposure.read_noise`.
        real: sets of (noisy, clean) pairs of one size each, uint8 and float32, (H, W, 3); each counts the same.
        seed: of everything random.
    """

    sources: list[Source]
    profiles: np.ndarray
    real: list[list[tuple[np.ndarray, np.ndarray]]]
    seed: int

    def batch(self, step: int, size: int) -> tuple[Tensor, Tensor]:
        """Noisy and clean images (size, 3, 128, 128) in [0, 1]."""
        generator = generator_of(self.seed, 5, step)
        shares = torch.tensor([float(source.share) for source in self.sources])
        drawn = torch.multinomial(shares, size, replacement=True, generator=generator)
        pairs = [self._example(self.sources[i], generator) for i in drawn]
        noisy, clean = (torch.from_numpy(np.stack(each)).permute(0, 3, 1, 2) for each in zip(*pairs, strict=True))
        return noisy, clean

    def _example(self, source: Source, generator: torch.Generator) -> tuple[np.ndarray, np.ndarray]:
        if self.real and uniform(0, 1, generator) < REAL:
            pairs = self.real[whole(len(self.real), generator)]
            noisy, clean = pairs[whole(len(pairs), generator)]
            (noisy, clean), _ = cut((noisy, clean), generator, SIDE)
            darker = np.float32(2 ** (-max(0.0, uniform(-2.5, 2.5, generator)) / underexposure.GAMMA))
            return np.rint(noisy * darker) / np.float32(255), clean * darker
        place = source.places[whole(len(source.places), generator)]
        image = source.images[place[whole(len(place), generator)]]
        linear = image if source.kind == "linear" else (image.astype(np.float32) / 255) ** underexposure.GAMMA
        # A large photo is smooth where a small one is detailed; what is made smaller has no noise left of its own.
        (linear,), side = cut((linear,), generator, round(SIDE * 2 ** uniform(-1.7, 0.7, generator)))
        if side != SIDE:
            how = cv2.INTER_AREA if side > SIDE else cv2.INTER_CUBIC
            linear = cv2.resize(linear, (SIDE, SIDE), interpolation=how)
        if uniform(0, 1, generator) < 0.2:  # out of focus
            linear = cv2.GaussianBlur(linear, (0, 0), uniform(1, 6, generator))
        return noise.noisy_and_clean(linear.clip(0), self.profiles, generator)


def cut(layers: tuple[np.ndarray, ...], generator: torch.Generator, side: int) -> tuple[list[np.ndarray], int]:
    """The same random square of layers (H, W, ...), perhaps mirrored or turned; it is smaller where they are."""
    height, width = layers[0].shape[:2]
    side = min(side, height, width)
    top, left = whole(height - side + 1, generator), whole(width - side + 1, generator)
    mirrored, turns = uniform(0, 1, generator) < 0.5, whole(4, generator)

    def one(layer: np.ndarray) -> np.ndarray:
        piece = layer[top : top + side, left : left + side]
        return np.ascontiguousarray(np.rot90(piece[:, ::-1] if mirrored else piece, turns))

    return [one(layer) for layer in layers], side


def brought_to(clean: np.ndarray, noisy: np.ndarray) -> np.ndarray:
    """A good photo at the exposure of a noisy one of the same scene: each channel through one rising curve."""
    out = np.empty(clean.shape, np.float32)
    for i in range(3):
        value, dark = (cv2.GaussianBlur(photo[..., i].astype(np.float32), (0, 0), 3) for photo in (clean, noisy))
        order = np.argsort(value.ravel())
        knots = [(value.ravel()[part].mean(), dark.ravel()[part].mean()) for part in np.array_split(order, 24)]
        x, y = np.array(knots).T
        out[..., i] = np.interp(clean[..., i], x, np.maximum.accumulate(y)) / 255
    return out


def real_pairs(folder: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """The training part of real pairs, low/, high/ and split.json."""
    names = mixture.for_training(data.read_split(folder, "train"), tested=True)

    def read(side: str, name: str) -> np.ndarray:
        return np.asarray(cv2.imread(str(data.find_image(folder / side, name)), cv2.IMREAD_COLOR))[..., ::-1]

    pairs = [(read("low", name), read("high", name)) for name in names]
    return [(low, brought_to(high, low)) for low, high in pairs]


def shot_often(folder: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Photos and the means of many shots of the same, noisy/ and clean/, of the scenes that are for training."""
    names = mixture.for_training(sorted(path.name for path in (folder / "noisy").glob("*.*")))
    pairs = [[np.asarray(cv2.imread(str(folder / side / name)))[..., ::-1] for side in SIDES] for name in names]
    return [(noisy, clean.astype(np.float32) / 255) for noisy, clean in pairs]


def error(cleaned: Tensor, clean: Tensor) -> Tensor:
    """The mean distance in the scale where the dark counts."""
    return (companded(cleaned) - companded(clean)).abs().mean()


def train(
    examples: Examples,
    out: Path,
    steps: int,
    batch: int,
    lr: float,
    start: Denoiser | None = None,
    *,
    resume: bool = False,
) -> Denoiser:
    """Train, from weights to start with if there are any, and leave `last.pt`; returns the averaged network."""
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(examples.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = Denoiser().to(device)
    if start:
        network.load_state_dict(start.state_dict())
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(0.998))
    optimizer = torch.optim.AdamW(network.parameters(), lr=lr, weight_decay=1e-4)

    def rate(step: int) -> float:
        return min(1, (step + 1) / 200) * 0.5 * (1 + math.cos(math.pi * min(step / steps, 1)))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    parts: dict[str, Any] = {"network": network, "average": average, "optimizer": optimizer, "schedule": schedule}
    first = 0
    if resume:
        state = load_checkpoint(out / "last.pt")
        for name, part in parts.items():
            part.load_state_dict(state[name])
        first = state["step"]
    bar = tqdm(total=steps, initial=first, desc="denoiser", mininterval=5)
    lost: list[float] = []
    batches = made_ahead(lambda at: examples.batch(at, batch), range(first, steps))
    for step, (noisy, clean) in enumerate(batches, first + 1):
        noisy, clean = noisy.to(device), clean.to(device)
        loss = error(network(noisy), clean)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 0.5)
        optimizer.step()
        schedule.step()
        average.update_parameters(network)
        lost.append(loss.item())
        bar.update()
        if step % 200 == 0 or step == steps:
            bar.set_postfix(loss=f"{np.mean(lost[-200:]):.5f}")
            save_checkpoint(out / "last.pt", {name: p.state_dict() for name, p in parts.items()} | {"step": step})
    bar.close()
    return cast("Denoiser", average.module.eval())


@says_in_one_line("train.denoise", data.DataError, CheckpointError)
def main(arguments: list[str] | None = None) -> int:
    """Train the denoiser, or say in one line why not."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sources", type=Path, default=Path(__file__).parent / "mixture.toml")
    parser.add_argument("--real", default="lol", help="folder in DATA of real pairs in the dark")
    parser.add_argument("--often", default="noise/polyu", help="folder in DATA of photos, and means of many shots")
    parser.add_argument("--start", type=Path, help="weights of a denoiser to go on from")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=12_000)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--publish", action="store_true", help="put it among the published weights")
    options = parser.parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    sources, _ = mixture.read_sources(options.sources, options.data)
    profiles = underexposure.read_noise(options.data / "noise/profiles/darktable_noise.csv", MOST_ISO)
    names = [
        about["folder"] for about in tomllib.loads(options.sources.read_text()).values() if isinstance(about, dict)
    ]
    real = [real_pairs(options.data / options.real), shot_often(options.data / options.often)]
    examples = Examples(sources, profiles, real, seed=0)
    start = load_weights(options.start) if options.start else None
    network = train(examples, options.out, options.steps, options.batch, options.lr, start, resume=options.resume)
    names = list(dict.fromkeys([*names, options.real, options.often]))
    card = {"steps": options.steps, "batch": options.batch, "lr": options.lr, "sources": names}
    write(network, options.out / FILE, card)
    if options.publish:
        published = weights.folder() / FILE
        write(network, published, card)
        write_scores({**weights.scores(), "sha256": weights.digests()})  # or the new file would be refused as another
        export_denoiser(published.with_suffix(".onnx"), published)
        write_scores({**weights.scores(), "sha256": weights.digests()})
    return 0


def write(network: Denoiser, path: Path, card: dict[str, Any]) -> None:
    """Write a denoiser's weights with what it learned from."""
    count = sum(parameter.numel() for parameter in network.parameters())
    weights.write_file(path, network.state_dict(), {"denoiser": True, "parameters": count, "card": card})


if __name__ == "__main__":
    sys.exit(main())
