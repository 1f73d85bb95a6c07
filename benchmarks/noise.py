"""The denoiser beside what people use, and in the product: `python -m benchmarks.noise --data ROOT`.

First, dark photos with noise are lit by one gain, as a meter would, and compared with the clean ones under the same
gain: as they are, cleaned by us before, or lit and then cleaned by others. Others get the best of some strengths for
each photo, which nobody could know, and the one that is best for all; we are told nothing. `made`: photos of the test
scenes with noise of `train.noise`; `polyu`: crops of real noise, darkened by nobody. What is not installed is not
compared, and said.

Then, sets that choices never saw are lit by a network, with and without noise: at degree 1, and at the best of quarter
steps, which is what a hand on the slider gets.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import torch

from ranlen import denoise, networks, retouch
from ranlen.io.images import Photo
from train import metrics, mixture, noise, underexposure
from train.chance import generator_of
from train.denoise import MOST_ISO
from train.sets import PARTS, EvaluationSet, read_set, tenth

MIDDLE = 0.4  # the mean after lighting
NETWORK = "deepupe-ranlen"
SETS = {"lol": None, "sice_fused": None, "subjects:all": "backlit"}  # folders of data, and what is made of them
DEGREES = np.arange(0.5, 2.01, 0.25)
Pair = tuple[np.ndarray, np.ndarray]  # noisy uint8 and clean float (H, W, 3)


def made(root: Path, count: int) -> Iterator[Pair]:
    """Photos of scenes that no training saw, dark and noisy."""
    profiles = underexposure.read_noise(root / "noise/profiles/darktable_noise.csv", MOST_ISO)
    paths = {**mixture.named_images(root / "photos/bsds"), **mixture.named_images(root / "photos/free")}
    names = [name for name in paths if tenth(name) == PARTS["test"]][:count]
    for number, name in enumerate(names):
        image = np.asarray(cv2.imread(str(paths[name])))[..., ::-1].astype(np.float32) / 255
        noisy, clean = noise.noisy_and_clean(image**underexposure.GAMMA, profiles, generator_of(9, number))
        yield np.rint(noisy * 255).astype(np.uint8), clean


def polyu(root: Path, count: int) -> Iterator[Pair]:
    """Real noise, and the mean of many shots, of scenes that no training saw."""
    paths = [path for path in sorted((root / "noise/polyu/noisy").iterdir()) if tenth(path.stem) == PARTS["test"]]
    for path in paths[:count]:
        other = root / "noise/polyu/clean" / path.name
        noisy, clean = (np.asarray(cv2.imread(str(each)))[:256, :256, ::-1] for each in (path, other))
        yield np.ascontiguousarray(noisy), clean.astype(np.float32) / 255


def lit(pixels: np.ndarray, log_gain: float) -> np.ndarray:
    """Floats in [0, 1] under a gain whose shoulder keeps white white."""
    return pixels / (pixels + np.exp(-log_gain) * (1 - pixels) + 1e-9)


def metered(clean: np.ndarray) -> float:
    """The log gain that brings a photo's mean to the middle."""
    return min(np.linspace(0, 5, 101), key=lambda gain: abs(lit(clean, gain).mean() - MIDDLE))


def ours(noisy: np.ndarray, gain: float) -> list[np.ndarray]:
    """Cleaned by us, then lit."""
    return [lit(denoise.clean(Photo(noisy)).pixels / 65535, gain)]


def ours_by_hand(noisy: np.ndarray, gain: float) -> list[np.ndarray]:
    """The same with the slider where it suits best."""
    clean = denoise.clean(Photo(noisy)).pixels / 65535
    return [lit(share * clean + (1 - share) * noisy / 255, gain) for share in (0.25, 0.5, 0.75, 1)]


def non_local_means(noisy: np.ndarray, gain: float) -> list[np.ndarray]:
    """Lit, then OpenCV's non-local means."""
    bright = np.rint(255 * lit(noisy / 255, gain)).astype(np.uint8)
    return [cv2.fastNlMeansDenoisingColored(bright, None, h, h, 7, 21) / 255.0 for h in (3, 6, 10, 15, 25)]


def block_matching(noisy: np.ndarray, gain: float) -> list[np.ndarray]:
    """Lit, then BM3D."""
    import bm3d

    bright = lit(noisy / 255, gain)
    return [bm3d.bm3d_rgb(bright, sigma).clip(0, 1) for sigma in (0.02, 0.05, 0.1, 0.2)]


RIVALS: dict[str, Callable[[np.ndarray, float], list[np.ndarray]]] = {
    "as it is": lambda noisy, gain: [lit(noisy / 255, gain)],
    "non-local means": non_local_means,
    "BM3D": block_matching,
    "ours": ours,
    "ours, slider by hand": ours_by_hand,
}


def scores(pictures: list[np.ndarray], clean: np.ndarray) -> np.ndarray:
    """PSNR and SSIM of each of some pictures, (N, 2)."""
    wanted = tensor(clean)
    everywhere = torch.ones_like(wanted[:, :1])
    figures = (metrics.psnr, metrics.ssim)
    return np.array([[float(figure(tensor(each), wanted, everywhere)) for figure in figures] for each in pictures])


def tensor(pixels: np.ndarray) -> torch.Tensor:
    """(H, W, 3) as (1, 3, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(pixels, np.float32)).permute(2, 0, 1)[None]


def in_the_product(some: EvaluationSet) -> Iterator[tuple[float, list[float]]]:
    """How each photo of a set scores in A, without and with denoising: `denoise`, and seven figures.

    The figures are PSNR, SSIM and chroma error at degree 1, the same at the best degree, and that degree.
    """
    network = networks.load(NETWORK)
    (masks,) = some.masks.values()
    for low, high, mask in zip(some.pairs.low, some.pairs.high, masks, strict=True):
        photo = Photo(np.ascontiguousarray(low.permute(1, 2, 0).numpy()))
        reference = high[None] / 255
        lighting = retouch.predict(photo, mask, network)
        clean = retouch.clean(photo, [lighting])
        for strength in (0.0, denoise.automatic(photo)):
            rows = []
            for degree in map(float, DEGREES):
                lit_photo = retouch.render(photo, lighting, degree, clean=clean, denoise=strength)
                out = torch.from_numpy(retouch.to_image(lit_photo.pixels))
                figures = (metrics.psnr, metrics.ssim, metrics.chroma_error)
                rows.append([float(figure(out, reference, torch.from_numpy(mask.a))) for figure in figures] + [degree])
            yield strength, next(row for row in rows if row[-1] == 1)[:-1] + max(rows)


def print_rivals(data: Path, count: int) -> None:
    rivals = dict(RIVALS)
    if importlib.util.find_spec("bm3d") is None:
        print("bm3d is not installed and so not compared: pip install bm3d")
        del rivals["BM3D"]
    kinds = ("PSNR", "SSIM", "PSNR at one strength")
    names = [*kinds, *(f"{kind}, PolyU" for kind in kinds), "CPU s per MP and strength"]
    print(f"| | {' | '.join(names)} |\n|---|{'---|' * len(names)}")
    sets = [list(each(data, count)) for each in (made, polyu)]
    for name, rival in rivals.items():
        row, spent, pixels = [], 0.0, 0
        for pairs in sets:
            found = []
            for noisy, clean in pairs:
                gain = metered(clean)
                begun = time.process_time()
                pictures = rival(noisy, gain)
                spent += (time.process_time() - begun) / len(pictures)
                pixels += noisy.shape[0] * noisy.shape[1]
                found.append(scores(pictures, lit(clean, gain)))
            psnr, ssim = np.mean([max(map(tuple, each)) for each in found], 0)  # each photo's best strength
            row += [f"{psnr:.2f}", f"{ssim:.3f}", f"{np.mean(found, 0)[:, 0].max():.2f}"]
        print(f"| {name} | {' | '.join(row)} | {1e6 * spent / pixels:.2f} |", flush=True)


def print_product(data: Path) -> None:
    kinds = ("PSNR A", "SSIM A", "chroma A")
    names = [*kinds, *(f"{kind}, best degree" for kind in kinds), "best degree"]
    print(f"\n| {NETWORK} | denoise | {' | '.join(names)} |\n|---|---|{'---|' * len(names)}")
    for folder, make in SETS.items():
        some = read_set(str(data / folder), make)
        rows = list(in_the_product(some))
        for name, part in (("without", rows[::2]), ("with", rows[1::2])):
            strength = np.mean([each for each, _ in part])
            means = [
                f"{number:.{digits}f}"
                for number, digits in zip(np.mean([row for _, row in part], 0), (2, 3, 1, 2, 3, 1, 2), strict=True)
            ]
            print(f"| {some.name}, {len(part)} photos, {name} | {strength:.2f} | {' | '.join(means)} |", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--count", type=int, default=20, help="photos of each kind beside rivals; 0: none")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    if options.count:
        print_rivals(options.data, options.count)
    print_product(options.data)
    return 0


if __name__ == "__main__":
    sys.exit(main())
