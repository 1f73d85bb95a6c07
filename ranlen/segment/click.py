"""A small network that answers clicks: no download, a few hundredths of a second for each.

The photo is looked at once, without clicks (`Encoder`); each answer is a second, smaller network over what was seen,
the clicks and the answer before (`Head`). That makes clicks cheap, and lets one photo teach several answers at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, normalize

from ranlen import weights
from ranlen.images import Photo, preview
from ranlen.segment.prompts import Prompts, check_prompts

WORKING_SIZE = 224  # long side of what the network sees; chosen on validation photos
MULTIPLE = 32  # of both sides, for its deepest level
FILE = "click.safetensors"
MOST_WIDTH = 1024  # channels of a layer: a file is not believed more
MODEL = "click"  # what the file's metadata says it is
GROUPS = 8  # of features, each compared with the clicks on its own
MOST_CLICKS = 24  # of a kind that the network sees; the answer keeps to all of them

Points = Sequence[Sequence[float]]


@dataclass(frozen=True)
class Seen:
    """What the encoder made of a batch of images: feature maps at a half, a quarter, an eighth... of their size."""

    half: Tensor
    quarter: Tensor
    eighth: Tensor
    sixteenth: Tensor

    def pick(self, index: Tensor) -> Seen:
        """Those of some images of the batch, in any order, with repeats."""
        return Seen(self.half[index], self.quarter[index], self.eighth[index], self.sixteenth[index])


class ConvNorm(nn.Sequential):
    """Convolution, batch norm and, unless told otherwise, ReLU."""

    def __init__(self, inputs: int, outputs: int, size: int = 3, stride: int = 1, *, act: bool = True) -> None:
        layers: list[nn.Module] = [
            nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False),
            nn.BatchNorm2d(outputs),
        ]
        super().__init__(*layers, *([nn.ReLU(inplace=True)] if act else []))


class Residual(nn.Module):
    """Two 3 x 3 convolutions beside the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(ConvNorm(channels, channels), ConvNorm(channels, channels, act=False))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.body(x))


class Context(nn.Module):
    """Tells every place about the whole frame: the mean of all features, added after two small layers."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(channels, channels), nn.ReLU(inplace=True), nn.Linear(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x.mean(dim=(2, 3)))[:, :, None, None]


class Encoder(nn.Module):
    """Features of a photo at four scales, each of which knows the coarser ones."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        a, b, c, d, e = widths
        self.stem = ConvNorm(3, a, stride=2)
        self.quarter = nn.Sequential(ConvNorm(a, b, stride=2), Residual(b))
        self.eighth = nn.Sequential(ConvNorm(b, c, stride=2), Residual(c), Residual(c))
        self.sixteenth = nn.Sequential(ConvNorm(c, d, stride=2), Residual(d), Residual(d))
        self.last = nn.Sequential(ConvNorm(d, e, stride=2), Residual(e), Context(e))
        self.into_sixteenth = ConvNorm(d + e, d, 1)
        self.into_eighth = ConvNorm(c + d, c, 1)
        self.into_quarter = ConvNorm(b + c, b, 1)
        self.smooth = nn.Sequential(ConvNorm(b, b), nn.Conv2d(b, b, 1))  # signed, to be compared by angle

    def forward(self, image: Tensor) -> Seen:
        half = self.stem((image - 0.45) / 0.27)
        quarter = self.quarter(half)
        eighth = self.eighth(quarter)
        sixteenth = self.sixteenth(eighth)
        last = self.last(sixteenth)
        sixteenth = self.into_sixteenth(torch.cat([sixteenth, _twice(last)], 1))
        eighth = self.into_eighth(torch.cat([eighth, _twice(sixteenth)], 1))
        quarter = self.into_quarter(torch.cat([quarter, _twice(eighth)], 1))
        return Seen(half, self.smooth(quarter), eighth, sixteenth)


class Head(nn.Module):
    """From what was seen and what was clicked to logits at half the image's size."""

    hints = 7  # maps made of the prompts

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        a, b, c, d, _ = widths
        self.quarter = nn.Sequential(ConvNorm(b + self.hints + 2 * GROUPS, b, 1), ConvNorm(b, b))
        self.eighth = ConvNorm(b, c, stride=2)
        self.eighth_seen = nn.Sequential(ConvNorm(2 * c, c, 1), ConvNorm(c, c))
        self.sixteenth = ConvNorm(c, c, stride=2)
        self.sixteenth_seen = nn.Sequential(ConvNorm(c + d, d, 1), Context(d), Residual(d))
        self.into_eighth = nn.Sequential(ConvNorm(c + d, c, 1), ConvNorm(c, c))
        self.into_quarter = nn.Sequential(ConvNorm(b + c, b, 1), ConvNorm(b, b))
        self.into_half = nn.Conv2d(b, a, 1)
        self.out = nn.Sequential(ConvNorm(a, a), nn.Conv2d(a, 1, 1))

    def forward(self, seen: Seen, hints: Tensor, likeness: Tensor) -> Tensor:
        quarter = self.quarter(torch.cat([seen.quarter, hints, likeness], 1))
        eighth = self.eighth_seen(torch.cat([self.eighth(quarter), seen.eighth], 1))
        sixteenth = self.sixteenth_seen(torch.cat([self.sixteenth(eighth), seen.sixteenth], 1))
        eighth = self.into_eighth(torch.cat([eighth, _twice(sixteenth)], 1))
        quarter = self.into_quarter(torch.cat([quarter, _twice(eighth)], 1))
        return self.out(torch.relu(_twice(self.into_half(quarter)) + seen.half))


class ClickNet(nn.Module):
    """The network: `see` an image once, then `answer` prompts about it.

    Coordinates are in units of the quarter size maps, points are (x, y).
    """

    def __init__(self, widths: Sequence[int] = (16, 32, 64, 96, 128)) -> None:
        super().__init__()
        self.widths = tuple(widths)
        self.encoder = Encoder(widths)
        self.head = Head(widths)
        self.edges = nn.Conv2d(widths[1], 1, 1)  # for training only: where people draw borders

    def see(self, image: Tensor) -> Seen:
        """Features of images (N, 3, H, W), RGB in [0, 1], sides multiples of 32."""
        return self.encoder(image)

    def answer(self, seen: Seen, inside: Tensor, outside: Tensor, box: Tensor, before: Tensor) -> Tensor:
        """Logits at half the image's size.

        Args:
            seen: what `see` returned, of N images.
            inside: (N, P, 2) points, NaN where there are fewer.
            outside: the same, with its own P.
            box: (N, 1, H/4, W/4), 1 in the box; all 0 where there is none.
            before: (N, 1, H/2, W/2) logits of the answer before; all 0 where there is none.

        Returns:
            (N, 1, H/2, W/2).
        """
        return self.head(seen, *self.hints(seen, inside, outside, box, before))

    def hints(self, seen: Seen, inside: Tensor, outside: Tensor, box: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        """The prompts as maps (N, 7, H/4, W/4), and how like the clicks each place is (N, 2 * GROUPS, H/4, W/4)."""
        size = seen.quarter.shape[2:]
        known = (before != 0).flatten(1).any(1).float()[:, None, None, None].expand(-1, 1, *size)
        prior = torch.tanh(interpolate(before, size, mode="bilinear", align_corners=False) / 2)
        maps = torch.cat([_nearness(inside, size), _nearness(outside, size), box, prior, known], 1)
        return maps, torch.cat([_likeness(seen.quarter, inside), _likeness(seen.quarter, outside)], 1)

    def forward(self, image: Tensor, inside: Tensor, outside: Tensor, box: Tensor, before: Tensor) -> Tensor:
        """`see` and `answer` in one."""
        return self.answer(self.see(image), inside, outside, box, before)


def _twice(x: Tensor) -> Tensor:
    return interpolate(x, scale_factor=2, mode="nearest")


def _nearness(points: Tensor, size: Sequence[int]) -> Tensor:
    """How near the nearest point is, (N, 2, h, w): a spot around it, and a slope over the whole frame."""
    height, width = size
    y = torch.arange(height, dtype=points.dtype, device=points.device)[:, None] + 0.5
    x = torch.arange(width, dtype=points.dtype, device=points.device) + 0.5
    squared = (x - points[:, :, None, None, 0]) ** 2 + (y - points[:, :, None, None, 1]) ** 2
    far = float(4 * (height**2 + width**2))
    squared = torch.nan_to_num(squared, nan=far)
    nearest = squared.amin(1, keepdim=True) if points.shape[1] else squared.new_full((len(points), 1, *size), far)
    long = max(size)
    spot = torch.exp(-nearest / (2 * (0.025 * long) ** 2))
    slope = torch.exp(-nearest.sqrt() / (0.2 * long))
    return torch.cat([spot, slope], 1)


def _likeness(features: Tensor, points: Tensor) -> Tensor:
    """How like the most similar point each place is, in each group of features: (N, GROUPS, h, w), -1 to 1."""
    n, channels, height, width = features.shape
    if not points.shape[1]:
        return features.new_zeros(n, GROUPS, height, width)
    grouped = normalize(features.reshape(n, GROUPS, channels // GROUPS, height * width), dim=2)
    missing = points.isnan().any(2)
    place = torch.nan_to_num(points, nan=0.0).floor().long()
    index = place[..., 1].clamp(0, height - 1) * width + place[..., 0].clamp(0, width - 1)
    index = index[:, None, None].expand(-1, GROUPS, channels // GROUPS, -1)
    like = torch.einsum("ngcp,ngcx->ngpx", grouped.gather(3, index), grouped)
    like = like.masked_fill(missing[:, None, :, None], -1.0).amax(2)
    like = like * (~missing.all(1)).float()[:, None, None]  # no point: 0, which says nothing
    return like.reshape(n, GROUPS, height, width)


def brighten(pixels: np.ndarray) -> np.ndarray:
    """A dark image as if well exposed; a well exposed one almost as it is.

    Args:
        pixels: (H, W, 3) floats or integers; any scale, the brightest half percent becomes white.

    Returns:
        (H, W, 3) float32 in [0, 1].
    """
    light = np.asarray(pixels, np.float32)
    white = float(np.percentile(light.max(axis=2), 99.5))
    light = np.clip(light / max(white, 1e-6), 0, 1)
    mean = float(np.clip(light.mean(), 1e-3, 0.999))
    gamma = float(np.clip(np.log(0.42) / np.log(mean), 0.35, 1.0))
    return light if gamma == 1 else cv2.pow(light, gamma)


@dataclass(frozen=True)
class Prepared:
    """A photo as the click network saw it."""

    size: tuple[int, int]
    seen: Seen


class ClickSegmenter:
    """Answers prompts with a `ClickNet`; see `Segmenter`. Threads may share it."""

    name = "click"

    def __init__(self, network: ClickNet, device: str | torch.device = "cpu") -> None:
        self.device = torch.device(device)
        self.network = network.to(self.device).eval()

    @torch.inference_mode()
    def prepare(self, photo: Photo) -> Prepared:
        """What the network sees in a photo."""
        # Averaging in floats keeps the steps between the few levels of a dark photo.
        copy: np.ndarray = preview(photo, 4 * WORKING_SIZE).astype(np.float32)
        height, width = _working_size(photo.size)
        shrinks = height <= copy.shape[0] and width <= copy.shape[1]
        copy = cv2.resize(copy, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        image = torch.from_numpy(brighten(copy)).permute(2, 0, 1)[None].contiguous()
        return Prepared(photo.size, self.network.see(image.to(self.device)))

    @torch.inference_mode()
    def segment(self, prepared: Prepared, prompts: Prompts) -> np.ndarray:
        """The subject, (H, W) booleans; every inside click is in it and no outside click is, where they differ.

        Raises:
            PromptError: prompts that say nothing or lie outside the photo.
        """
        check_prompts(prompts, prepared.size)
        logits = self.logits(prepared, prompts)
        return clean(logits, prompts, prepared.size)

    @torch.inference_mode()
    def logits(self, prepared: Prepared, prompts: Prompts) -> np.ndarray:
        """The network's own answer, (h, w) float32 at half its working size, above 0 where it sees the subject."""
        height, width = (int(side) for side in prepared.seen.quarter.shape[2:])
        scale = np.array([width / prepared.size[1], height / prepared.size[0]], np.float32)

        def points(places: Points) -> Tensor:
            scaled = np.array(places[-MOST_CLICKS:], np.float32).reshape(1, -1, 2) * scale
            return torch.from_numpy(scaled.astype(np.float32)).to(self.device)

        box = torch.zeros(1, 1, height, width)
        if prompts.box is not None:
            left, top, right, bottom = (value * scale[i % 2] for i, value in enumerate(prompts.box))
            box[..., int(top) : int(np.ceil(bottom)), int(left) : int(np.ceil(right))] = 1
        before = torch.zeros(1, 1, 2 * height, 2 * width)
        if prompts.mask is not None:
            small = cv2.resize(prompts.mask.astype(np.float32), (2 * width, 2 * height), interpolation=cv2.INTER_AREA)
            before = torch.from_numpy(as_logits(small))[None, None]
        answer = self.network.answer(
            prepared.seen, points(prompts.inside), points(prompts.outside), box.to(self.device), before.to(self.device)
        )
        return answer[0, 0].float().cpu().numpy()


def as_logits(mask: np.ndarray) -> np.ndarray:
    """A mask in [0, 1] as an answer before: logits from -4 to 4, never all 0."""
    return ((mask * 2 - 1) * 4 + 1e-3).astype(np.float32)


def clean(logits: np.ndarray, prompts: Prompts, size: tuple[int, int]) -> np.ndarray:
    """A mask from logits: what belongs to a click, without holes, in full size, true to every click.

    Args:
        logits: (h, w) over the whole photo, of any size.
        prompts: what was clicked, in pixels of the photo.
        size: (H, W) of the photo.

    Returns:
        (H, W) booleans.
    """
    height, width = logits.shape
    scale = (width / size[1], height / size[0])
    logits = logits.copy()

    def cells(points: Points) -> tuple[np.ndarray, np.ndarray]:
        x, y = (np.array([point[i] * scale[i] for point in points]).astype(int) for i in (0, 1))
        return y.clip(0, height - 1), x.clip(0, width - 1)

    for points, sign in ((prompts.outside, -1.0), (prompts.inside, 1.0)):
        spot = np.zeros(logits.shape, np.uint8)
        spot[cells(points)] = 1
        grown = cv2.dilate(spot, np.ones((3, 3), np.uint8)) > 0
        logits[grown] = sign * np.maximum(sign * logits[grown], 1)
    logits[cells(prompts.outside)] = -4.0
    logits[cells(prompts.inside)] = 4.0

    mask = (logits > 0).astype(np.uint8)
    count, parts, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
    if prompts.inside:
        keep = np.unique(parts[cells(prompts.inside)])
    else:
        keep = np.array([1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())]) if count > 1 else np.array([], int)
    kept = np.isin(parts, keep[keep > 0])
    logits[(mask > 0) & ~kept] = -1
    holes = ~kept
    # A hole is what the frame cannot reach, unless someone said that it is not the subject.
    count, parts = cv2.connectedComponents(holes.astype(np.uint8), connectivity=8)
    rim = np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1], parts[cells(prompts.outside)]])
    closed = ~np.isin(parts, np.append(rim, 0))
    logits[closed] = 1

    full = cv2.resize(logits, (size[1], size[0]), interpolation=cv2.INTER_LINEAR) > 0
    for points, value in ((prompts.outside, False), (prompts.inside, True)):
        for x, y in points:
            full[min(int(y), size[0] - 1), min(int(x), size[1] - 1)] = value
    return full


def save(network: ClickNet, path: Path, card: Mapping[str, Any]) -> None:
    """Write a network's weights with what they are; see `ranlen.weights.save`."""
    count = sum(parameter.numel() for parameter in network.parameters())
    about = {"model": MODEL, "widths": list(network.widths), "parameters": count, "card": dict(card)}
    weights.write_file(path, network.state_dict(), about)


def load(path: str | Path | None = None, device: str | torch.device = "cpu") -> ClickSegmenter:
    """The published click network, or the one in a .safetensors file, ready to answer.

    Raises:
        WeightsError: a missing or damaged file, or one that holds something else.
    """
    path = weights.folder() / FILE if path is None else Path(path)
    about, state = weights.read_file(path)
    try:
        if about.get("model") != MODEL:
            raise ValueError("it is not a click network")
        if not all(isinstance(width, int) and 0 < width <= MOST_WIDTH for width in about["widths"]):
            raise ValueError(f"its widths are not from 1 to {MOST_WIDTH}")  # before they are allocated
        network = ClickNet(about["widths"])
        network.load_state_dict({name: tensor.float() for name, tensor in state.items()})
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise weights.WeightsError(f"{path.name} does not hold a click network: {reason}; get the file again") from None
    return ClickSegmenter(network, device)


def card(path: str | Path | None = None) -> dict[str, Any]:
    """What the file says about itself."""
    return weights.read_file(weights.folder() / FILE if path is None else Path(path))[0]


def _working_size(size: tuple[int, int]) -> tuple[int, int]:
    """Sides near the shape of the photo, the longer `WORKING_SIZE`, both multiples of 32."""
    scale = WORKING_SIZE / max(size)
    height, width = (max(MULTIPLE, round(side * scale / MULTIPLE) * MULTIPLE) for side in size)
    return height, width


__all__ = ["ClickNet", "ClickSegmenter", "brighten", "card", "clean", "load", "save"]
