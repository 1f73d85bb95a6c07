"""The light meter's last lesson, when the network is done: how bright, over many more photos than shapes took.

What is measured of a photo and the shape of its light are fixed by then. So they are worked out once for each photo,
some pixels of Area A are kept of it, and the last layers learn from those, a thousand steps in a few seconds.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor
from tqdm import tqdm

from ranlen.arrays import resize
from ranlen.models.enhancer import Enhancer
from ranlen.models.light import render
from ranlen.models.meter import Exposure
from ranlen.rendering.fields import Illumination
from train.chance import generator_of
from train.losses import log_error, matched_degree
from train.mixture import Mixture

PIXELS = 400  # kept of each photo
BATCH = 32


@dataclass(frozen=True)
class Lessons:
    """Photos as the last layers of a meter see them.

    Attributes:
        metered: (N, 1, 1, 1), log gain that Area A asks for.
        measured: (N, K), all that was measured.
        image: (N, 3, 2, PIXELS / 2), pixels of Area A; so are the next two.
        reference: what they should become.
        shape: what the backbone adds to their log gain.
    """

    metered: Tensor
    measured: Tensor
    image: Tensor
    reference: Tensor
    shape: Tensor

    def pick(self, which: Tensor) -> Lessons:
        """Some of them."""
        return Lessons(*(getattr(self, field.name)[which] for field in dataclasses.fields(self)))


@torch.no_grad()
def prepare(network: Enhancer, mixture: Mixture, start: int, count: int) -> Lessons:
    """Photos of a mixture, from its step `start` on, in batches of 8."""
    assert network.meter is not None
    network.eval()
    found: list[tuple[Tensor, ...]] = []
    for step in tqdm(range(start, start + count // 8), "photos for the meter", leave=False, mininterval=5):
        image, reference, mask = mixture.batch(step, 8)
        small = (128, 128)
        device = next(network.parameters()).device
        image, reference, mask = image.to(device), reference.to(device), mask.to(device)
        detail = resize(image, small)
        parts = network.in_parts(image, mask.tensor, detail)
        assert parts.exposure is not None
        shape = parts.light().maps - parts.exposure.log_gain
        layers = torch.cat([detail, resize(reference, small), shape], dim=1).flatten(2)
        inside = (resize(mask.a, small) > 0.99).flatten(1).float() + 1e-9
        where = torch.multinomial(inside.cpu(), PIXELS, replacement=True, generator=generator_of(3, step)).to(device)
        pixels = layers.gather(2, where[:, None].expand(-1, 9, -1)).unflatten(2, (2, -1))
        area = resize(parts.area, (image.shape[-2], image.shape[-1]))
        found.append((*network.meter.look(image, area), *pixels.split(3, dim=1)))
    return Lessons(*(torch.cat(each) for each in zip(*found, strict=True)))


def teach(network: Enhancer, lessons: Lessons, steps: int, *, lr: float = 1e-3, seed: int = 0) -> float:
    """Train the last layers of a network's meter, in place; returns the mean loss of the last tenth of the steps."""
    assert network.meter is not None
    optimizer = torch.optim.AdamW(network.meter.decide.parameters(), lr=lr, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    network.meter.decide.train()
    torch.manual_seed(seed)  # of what is dropped
    losses = []
    for step in tqdm(range(steps), "the meter learns", leave=False, mininterval=5):
        which = torch.randint(len(lessons.metered), (BATCH,), generator=generator_of(seed, 4, step))
        some = lessons.pick(which.to(lessons.metered.device))
        loss = lesson_loss(network.meter.read(some.metered, some.measured), some)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    network.eval()
    last = losses[-max(1, steps // 10) :]
    return sum(last) / len(last)


def lesson_loss(exposure: Exposure, some: Lessons) -> Tensor:
    """The two errors of `MeteredLoss` in Area A: as bright as the meter says, and as bright as the reference."""
    everywhere = torch.ones_like(some.image[:, :1])
    fixed = (exposure.shoulder.detach(), exposure.desaturation.detach())
    bright = render(Illumination(exposure.log_gain + some.shape, *fixed), some.image)
    field = Illumination(exposure.log_gain.detach() + some.shape, exposure.shoulder, exposure.desaturation)
    degree = matched_degree(field, some.image, some.reference, everywhere)
    matched = render(field.with_maps(degree * field.maps), some.image)
    return (log_error(bright, some.reference, everywhere) + log_error(matched, some.reference, everywhere)).mean()
