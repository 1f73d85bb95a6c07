"""All that was done to a photo, as a value: its subjects, and how much light each gets.

The page keeps it while somebody works, a file holds it as JSON, the command line repeats it on any photo:

    {"ranlen": 2, "backbone": "deepupe",
     "subjects": [{"edits": [...], "degree": 1.0, "feather": 0.1, "feather_side": "out"}]}

Edits are those of `ranlen.masks.edits`; without "feather_side", Area B lies where it suits a found subject, or a drawn
one; with "feather_edges": true the light follows the photo's edges across it. A plain list of edits is a
recipe of one subject, too.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec.inspect
import numpy as np
from msgspec import Meta

from ranlen.facts import (
    BACKBONES,
    DEFAULT_BACKBONE,
    DEFAULT_METHOD,
    MAX_DEGREE,
    MAX_SUBJECTS,
    OLD_SETTINGS,
    RECIPE_VERSION,
    SIDES,
    Side,
)
from ranlen.geometry import Size
from ranlen.masks.edits import Edit, EditError, brief, decode, is_found, parse_edits, rasterise, read_json

if TYPE_CHECKING:
    from ranlen.io.images import Photo
    from ranlen.masks.regions import RegionMask
    from ranlen.networks import Network
    from ranlen.rendering.noise import Clean
    from ranlen.retouch import Lighting
    from ranlen.segment.prompts import Prompts
    from ranlen.segment.question import Answers


@dataclass(frozen=True)
class Subject:
    """One thing to light.

    Attributes:
        edits: what marks it.
        degree: how much light it gets, 0 to 2.
        feather: its feather's width, as a fraction of the short side, or none for what suits.
        feather_side: its feather's side, or none for where it suits.
        feather_edges: whether the light follows the photo's edges across the feather.
        denoise: how much of its noise goes where light comes, 0 to 1, or none for what suits the photo.
    """

    edits: tuple[Edit, ...]
    degree: Annotated[float, Meta(ge=0, le=MAX_DEGREE)] = 1.0
    feather: Annotated[float, Meta(ge=0, le=1)] | None = None
    feather_side: Side | None = None
    denoise: Annotated[float, Meta(ge=0, le=1)] | None = None
    feather_edges: bool = False


_KINDS: Any = msgspec.inspect.type_info(Subject)
LIMITS = {  # of those settings of a subject that are numbers
    setting.name: (float(kind.ge), float(kind.le))
    for setting in _KINDS.fields
    for kind in getattr(setting.type, "types", [setting.type])
    if getattr(kind, "le", None) is not None
}
EXPECTED = {name: f'"{name}" is a number from {least:g} to {most:g}' for name, (least, most) in LIMITS.items()}
EXPECTED["feather_side"] = f'"feather_side" is one of {", ".join(SIDES)}, or null'
EXPECTED["feather_edges"] = '"feather_edges" is true or false'


@dataclass(frozen=True)
class Recipe:
    """Subjects, and the backbone that predicts their light."""

    subjects: tuple[Subject, ...]
    backbone: str = DEFAULT_BACKBONE

    @property
    def model(self) -> str:
        """The network that lights them."""
        return f"{self.backbone}-{DEFAULT_METHOD}"


def parse_recipe(data: Any) -> Recipe:
    """Read a recipe, or a plain list of edits, as JSON gives it.

    Raises:
        EditError: it is neither, or a setting makes no sense.
    """
    if isinstance(data, Sequence) and not isinstance(data, str | bytes):
        return Recipe((Subject(tuple(parse_edits(data))),))
    if not isinstance(data, Mapping):
        raise EditError(f"edits are a list, or a recipe as the page saves it; got {type(data).__name__}")
    if data.get("ranlen") not in range(1, RECIPE_VERSION + 1):
        raise EditError(f'a recipe says "ranlen": {RECIPE_VERSION}; got {brief(data.get("ranlen"))}')
    subjects = data.get("subjects")
    if not isinstance(subjects, Sequence) or isinstance(subjects, str) or not 0 < len(subjects) <= MAX_SUBJECTS:
        raise EditError(f'"subjects" is a list of 1 to {MAX_SUBJECTS}; got {brief(subjects)}')
    if (backbone := data.get("backbone", DEFAULT_BACKBONE)) not in BACKBONES:
        raise EditError(f'"backbone" is one of {", ".join(BACKBONES)}; got {brief(backbone)}')
    return Recipe(tuple(_subject(number, entry) for number, entry in enumerate(subjects, 1)), backbone)


def read_recipe(path: Path) -> Recipe:
    """Read a recipe from a JSON file.

    Raises:
        EditError: not a file, not JSON, or no recipe.
    """
    return parse_recipe(read_json(path))


def is_recipe(path: Path) -> bool:
    """Whether a file brings settings of its own and not only a list of edits."""
    return isinstance(read_json(path), Mapping)


def subject_areas(
    subject: Subject, view: Photo, ask: Callable[[Prompts], np.ndarray], known: Answers
) -> tuple[RegionMask, Answers]:
    """The areas of a subject, drawn by page and command line alike.

    Args:
        subject: what to mark.
        view: the photo's `retouch.view`, where both draw.
        ask: a segmenter that has encoded it.
        known: its earlier answers, which are not asked for again.

    Returns:
        The areas, and the answers to the subject's clicks.

    Raises:
        MaskError: nothing or everything is marked.
        PromptError: the clicks cannot be answered.
    """
    from ranlen import retouch  # takes two seconds to import; what is wrong with a recipe is said before

    core, found = subject_core(subject, view.size, ask, known)
    mask = retouch.region_mask(
        core,
        feather=subject.feather,
        feather_side=subject.feather_side,
        found=is_found(subject.edits),
        guide=view.pixels if subject.feather_edges else None,
    )
    return mask, found


def subject_core(
    subject: Subject, size: Size, ask: Callable[[Prompts], np.ndarray], known: Answers
) -> tuple[np.ndarray, Answers]:
    """What marks a subject before there is a feather, see `edits.rasterise`; all else as of `subject_areas`."""
    from ranlen.segment.question import answer, asked

    question = asked(subject.edits)
    found = answer(question, size, ask, known)
    return rasterise(subject.edits, size, found.get(question)), found


def light_subjects(
    photo: Photo,
    recipe: Recipe,
    ask: Callable[[Prompts], np.ndarray],
    network: Network,
    tell: Callable[[float], None] = lambda share: None,
    *,
    in_place: bool = False,
) -> Photo:
    """Light all subjects of a photo.

    Args:
        photo: the dark photo.
        recipe: what to do.
        ask: a segmenter that has encoded `retouch.view(photo)`.
        network: the network `recipe.model`.
        tell: called with the share of the noise that is taken out, in (0, 1].
        in_place: the photo is not needed any more; its pixels may be written over.
    """
    from ranlen import retouch

    view = retouch.view(photo)
    masks = (subject_areas(subject, view, ask, {})[0] for subject in recipe.subjects)
    lights = [(retouch.predict(view, mask, network), each) for mask, each in zip(masks, recipe.subjects, strict=True)]
    settled = with_denoise(photo, lights)
    return render(photo, settled, cleaned(photo, settled, tell), in_place=in_place)


Lights = Sequence[tuple["Lighting", Subject]]


def with_denoise(photo: Photo, lights: Lights, automatic: float | None = None) -> Lights:
    """The same with how much denoising suits the photo, where a subject does not say; it may be known already."""
    from ranlen.denoise import automatic as measured

    if all(subject.denoise is not None for _, subject in lights):
        return lights
    usual = measured(photo) if automatic is None else automatic
    return [
        (light, subject if subject.denoise is not None else dataclasses.replace(subject, denoise=usual))
        for light, subject in lights
    ]


def wants_clean(lights: Lights) -> bool:
    """Whether any of some lights takes noise out."""
    return any(subject.denoise and subject.degree for _, subject in lights)


def cleaned(photo: Photo, lights: Lights, tell: Callable[[float], None] = lambda share: None) -> Clean | None:
    """The photo without noise where any of the lights asks for that, or none."""
    from ranlen import retouch

    return retouch.clean(photo, [light for light, _ in lights], tell) if wants_clean(lights) else None


def render(photo: Photo, lights: Lights, clean: Clean | None = None, *, in_place: bool = False) -> Photo:
    """A photo under lights of several subjects, each as its subject has it set.

    Where two meet they do not add up: the brighter one counts, whatever their order. Noise goes where there is a
    `clean` and a subject says how much of it. `in_place`: the photo is not needed any more.
    """
    if len(lights) == 1:
        return _render(photo, *lights[0], clean, in_place=in_place)
    pixels = photo.pixels.copy()
    for light, subject in lights:
        np.maximum(pixels, _render(photo, light, subject, clean).pixels, out=pixels)
    return dataclasses.replace(photo, pixels=pixels)


def _render(photo: Photo, light: Lighting, subject: Subject, clean: Clean | None, *, in_place: bool = False) -> Photo:
    from ranlen import retouch

    denoise = subject.denoise or 0.0
    clean = clean if denoise else None
    return retouch.render(photo, light, subject.degree, clean=clean, denoise=denoise, in_place=in_place)


def _subject(number: int, entry: Any) -> Subject:
    if isinstance(entry, Mapping):
        entry = {OLD_SETTINGS.get(name, name): value for name, value in entry.items()}
    settings = entry | {"edits": []} if isinstance(entry, dict) else entry
    subject = decode(settings, Subject, f"subject {number}", EXPECTED)
    return dataclasses.replace(subject, edits=tuple(parse_edits(entry.get("edits"))))
