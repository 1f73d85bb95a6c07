"""From a photo and a mask to a lit photo: the one inference path of app, command line, notebook and evaluation.

    read  ->  region_mask  ->  predict  ->  (clean)  ->  render  ->  write

`predict` runs the network, once. What it returns is a value the caller keeps; `render` turns it into pixels at any size
and degree without running the network again. So it is with `clean`, for photos whose noise the light would bring up.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from ranlen import denoise as denoising
from ranlen.facts import DRAWN_FEATHER, FOUND_FEATHER, Side
from ranlen.io.images import Photo, preview, preview_size
from ranlen.masks.boolean import drawn_at
from ranlen.masks.regions import RegionMask
from ranlen.networks import Network
from ranlen.rendering.fields import LightField
from ranlen.rendering.fullsize import reached, render_pixels
from ranlen.rendering.noise import Clean

# The light is predicted at this many pixels on the long side, and areas are worked out at as many: four times coarser
# than a 12 MP photo. At half as many, edges of neon signs come out up to 20 8-bit levels differently.
DETAIL = 1024


class MaskError(ValueError):
    """A mask that leaves nothing to do; the message says why."""


@dataclass(frozen=True)
class Lighting:
    """What `predict` returns and `render` takes: a predicted light and where it may fall.

    It is small, and the same for every size of the photo and every degree.

    Attributes:
        field: the light of one photo (N = 1), float32 maps of about 256 x 256 cells or of the photo's preview.
        attenuation: (1, 1, h, w) in [0, 1], how much of it each place may get, 0 in Area C; none where the method
            lights the whole frame.
    """

    field: LightField
    attenuation: np.ndarray | None


def region_mask(
    core: np.ndarray,
    *,
    feather: float | None = None,
    feather_side: Side | None = None,
    found: bool = False,
    guide: np.ndarray | None = None,
) -> RegionMask:
    """Turn a marked subject into the areas that a photo is lit by: Area A, B around its border, and C, the rest.

    Args:
        core: (H, W) booleans of the photo's size, True on the subject; or floats in [0, 1] where it fades by
            itself, see `RegionMask.from_core`.
        feather: the feather's width (Area B), as a fraction of the short side in [0, 1], or none for what suits.
        feather_side: the feather's side, "out", "in" or "both", see `RegionMask.from_core`, or none for what suits.
        found: whether a segmenter found the subject, which tells what suits; otherwise it was drawn.
        guide: the pixels of the photo's `view`: the light then follows their edges across Area B; or none.

    Returns:
        One mask (N = 1), float32, at most 1024 pixels on its long side unless B would get too thin.

    Raises:
        MaskError: nothing or everything is marked.
        ValueError: a feather that makes no sense.
    """
    core = core if core.dtype.kind == "f" else core.astype(bool, copy=False)
    if not core.any():
        raise MaskError("the mask is empty, so there is nothing to light; mark a subject")
    if (core == 1).all():
        raise MaskError(
            "the mask covers the whole photo, so nothing would stay as it is; mark less, or use a global model"
        )
    # A mask that the page saved gives the page's areas: at full size, its borders say no more than those of the view.
    if core.dtype == bool and (drawn := drawn_at(core, preview_size(core.shape, DETAIL))) is not None:
        core = drawn
    width, side = FOUND_FEATHER if found else DRAWN_FEATHER
    width = width if feather is None else feather
    side = feather_side or ("both" if guide is not None else side)  # edges lie on both sides of what was marked
    mask = RegionMask.from_core(core, feather=width, feather_side=side, max_side=DETAIL, guide=guide)
    if core.dtype != bool and not mask.a.any():
        raise MaskError("the light fades before it reaches what is marked; begin the gradient on the subject")
    return mask


def view(photo: Photo) -> Photo:
    """A photo as its light is predicted and its mask is drawn: in sRGB, 8 bits, at most `DETAIL` on its long side."""
    return Photo(preview(photo, DETAIL), grey=photo.grey, format="JPEG")


def predict(photo: Photo, mask: RegionMask, network: Network) -> Lighting:
    """Predict the light of a photo under a mask: the network runs, once, on a small copy of the photo.

    Args:
        photo: the dark photo, (H, W, 3) of 8 or 16 bits.
        mask: its areas, one mask (N = 1) of any size of the photo's shape; see `region_mask`.
        network: from `networks.load`.

    Returns:
        The light, float32, and its attenuation map.
    """
    image = to_image(preview(photo, DETAIL))
    return Lighting(network.predict(image, mask), network.method.attenuation(mask))


def clean(
    photo: Photo,
    lights: Iterable[Lighting],
    tell: Callable[[float], None] = lambda share: None,
    *,
    device: str = "cpu",
) -> Clean:
    """Take the noise out of a photo where some lights reach it: the denoiser runs, once for all degrees.

    Args:
        photo: what is going to be lit, (H, W, 3) of 8 or 16 bits.
        lights: from `predict`; the denoiser runs where they lie.
        tell: called with the share that is done, in (0, 1].
        device: where the denoiser runs, "cpu" or "cuda".

    Returns:
        What `render` takes as `clean`.

    Raises:
        WeightsError: the denoiser's file is missing or damaged.
    """
    lights = list(lights)
    rows, cols = zip(*(reached(photo.size, light.attenuation) for light in lights), strict=True)
    return denoising.clean(photo, _around(rows), _around(cols), device=device, tell=tell)


def _around(parts: Iterable[range]) -> range:
    """The least range that holds all of some."""
    parts = [part for part in parts if part]
    return range(min(part.start for part in parts), max(part.stop for part in parts)) if parts else range(0)


def render(
    photo: Photo,
    lighting: Lighting,
    degree: float = 1.0,
    *,
    clean: Clean | None = None,
    denoise: float = 0.0,
    in_place: bool = False,
) -> Photo:
    """Turn a predicted light into pixels, without running a network; in Area C every byte stays.

    Args:
        photo: what to light: the photo that the light was predicted for, or a copy of it at any size.
        lighting: from `predict`.
        degree: how much of the light: 0 none, 1 as trained, at most 2.
        clean: all of the photo that the light reaches without its noise, from `clean`, or none.
        denoise: how much of its noise goes where light comes, in [0, 1].
        in_place: the photo is not needed any more; its pixels may be written over.

    Returns:
        A photo like `photo`, lit.

    Raises:
        ValueError: a degree that makes no sense, or light beyond the part that is clean.
    """
    pixels = render_pixels(
        lighting.field, photo.pixels, degree, lighting.attenuation, clean=clean, denoise=denoise, in_place=in_place
    )
    if photo.grey:  # the network may tint; the file cannot
        grey = cv2.transform(pixels, np.full((1, 3), 1 / 3))
        cv2.merge([grey, grey, grey], dst=pixels)
    return dataclasses.replace(photo, pixels=pixels)


def light(
    photo: Photo,
    mask: RegionMask,
    network: Network,
    degree: float = 1.0,
    *,
    denoise: float | None = None,
    in_place: bool = False,
    tell: Callable[[float], None] = lambda share: None,
) -> Photo:
    """Light the subject of a photo: `predict`, `clean` where there is noise, and `render` in one call.

    Args:
        photo: the dark photo, 8 or 16 bits.
        mask: its areas, one mask (N = 1) of any size of the photo's shape; see `region_mask`.
        network: from `networks.load`.
        degree: how much of the light: 0 none, 1 as trained, at most 2.
        denoise: how much of the noise goes where light comes, in [0, 1]; by default what suits the photo.
            At 0 there is nothing but the network's light.
        in_place: the photo is not needed any more; its pixels may be written over.
        tell: as of `clean`.

    Returns:
        A photo of the same size, depth and metadata; in Area C, every byte is the photo's.

    Raises:
        ValueError: a degree that makes no sense.
    """
    denoise = denoising.automatic(photo) if denoise is None else denoise
    lighting = predict(photo, mask, network)
    without = clean(photo, [lighting], tell, device=network.device) if degree and denoise else None
    return render(photo, lighting, degree, clean=without, denoise=denoise, in_place=in_place)


def compare(
    photo: Photo, mask: RegionMask, networks: Iterable[Network], degree: float = 1.0, *, denoise: float | None = None
) -> dict[str, Photo]:
    """Light a photo with several networks, to look at them side by side.

    Args:
        photo: the dark photo, 8 or 16 bits.
        mask: its areas, as in `light`.
        networks: one for each method; two of the same method would overwrite each other.
        degree: as in `light`.
        denoise: as in `light`.

    Returns:
        Photos by method, and the photo as it is under "original".
    """
    denoise = denoising.automatic(photo) if denoise is None else denoise
    networks = list(networks)
    lights = {each.method_name: predict(photo, mask, each) for each in networks}
    without = clean(photo, lights.values(), device=networks[0].device) if lights and degree and denoise else None
    lit = {name: render(photo, light, degree, clean=without, denoise=denoise) for name, light in lights.items()}
    return {"original": photo} | lit


def to_image(pixels: np.ndarray) -> np.ndarray:
    """uint8 pixels (H, W, 3) as an image (1, 3, H, W) in [0, 1], float32."""
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], np.float32) / np.float32(255)
