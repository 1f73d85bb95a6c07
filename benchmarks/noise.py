"""The denoiser beside what people use: `python -m benchmarks.noise --data ROOT`.

Dark photos with noise are lit by one gain, as a meter would, and compared with the clean ones under the same gain: as
they are, cleaned by us before, or lit and then cleaned by others. Others get the strength that suits each photo best,
which nobody could know; we are told nothing. `made`: photos of the test scenes with noise of `train.noise`; `polyu`:
crops of real noise, made darker by no one. What is not installed is not compared, and said.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import torch

from ranlen import denoise, metrics
from ranlen.io.images import Photo
from train import mixture, noise, underexposure
from train.chance import generator_of
from train.denoise import MOST_ISO
from train.sets import PARTS, tenth

MIDDLE = 0.4  # the mean after lighting
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
    """Real noise, and the mean of many shots."""
    paths = sorted((root / "noise/polyu/noisy").iterdir())
    for path in paths[:: max(1, len(paths) // count)]:
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
}


def scores(pictures: list[np.ndarray], clean: np.ndarray) -> tuple[float, float]:
    """PSNR and SSIM of the best of some pictures."""
    wanted = tensor(clean)
    everywhere = torch.ones_like(wanted[:, :1])
    found = [
        (float(metrics.psnr(tensor(each), wanted, everywhere)), float(metrics.ssim(tensor(each), wanted, everywhere)))
        for each in pictures
    ]
    return max(found)


def tensor(pixels: np.ndarray) -> torch.Tensor:
    """(H, W, 3) as (1, 3, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(pixels, np.float32)).permute(2, 0, 1)[None]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--count", type=int, default=20, help="photos of each kind")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    rivals = dict(RIVALS)
    try:
        import bm3d  # noqa: F401
    except ImportError:
        print("bm3d is not installed and so not compared: pip install bm3d")
        del rivals["BM3D"]
    print("| | PSNR | SSIM | PSNR, PolyU | SSIM, PolyU | CPU s per MP and strength |\n|---|---|---|---|---|---|")
    sets = [list(each(options.data, options.count)) for each in (made, polyu)]
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
            row += [f"{number:.{digits}f}" for number, digits in zip(np.mean(found, 0), (2, 3), strict=True)]
        print(f"| {name} | {' | '.join(row)} | {1e6 * spent / pixels:.2f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
