"""What is fuzzed: each target makes hostile input from a random state and gives it to one door of the program.

A door answers with a value or with one of its own errors, whose message is one line; anything else is a finding.
"""

from __future__ import annotations

import functools
import json
import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.soak import mutate, samples

Try = Callable[[random.Random, Path], object]  # gets an empty folder; raises what the door raises


@functools.cache
def photos() -> list[tuple[str, bytes]]:
    return list(samples.whole().items())


def damaged_photo(chance: random.Random, folder: Path) -> Path:
    """A damaged file, now and then under the name of another kind."""
    name, data = chance.choice(photos())
    path = folder / (name if chance.random() < 0.9 else chance.choice(photos())[0])
    path.write_bytes(mutate.damaged(data, [each for _, each in photos()], chance))
    return path


def photo(chance: random.Random, folder: Path) -> object:
    """Read, show, write back, read again."""
    from ranlen.io import images

    read = images.read(damaged_photo(chance, folder))
    assert read.pixels.shape == (*read.size, 3)
    assert read.pixels.dtype in ("uint8", "uint16")
    images.preview(read, 64)
    again = folder / "again"
    kinds = sorted(set(images.FORMATS.values()) - ({"HEIF"} if not images.HEIC else set()))
    again.write_bytes(images.encode(read, read.format if chance.random() < 0.5 else chance.choice(kinds)))
    assert images.read(again).size == read.size
    return read


def mask(chance: random.Random, folder: Path) -> object:
    from ranlen.io import images

    found = images.read_mask(damaged_photo(chance, folder), samples.SIZE)
    assert found.shape == samples.SIZE
    assert found.dtype == bool
    return found


EDITS = [
    {"tool": "subject", "at": [0.4, 0.6], "add": True},
    {"tool": "bounding_box", "from": [0.1, 0.1], "to": [0.9, 0.9]},
    {"tool": "part", "larger": True},
    {"tool": "circle", "at": [0.5, 0.5], "radius": 0.2, "add": True},
    {"tool": "rectangle", "from": [0.2, 0.3], "to": [0.6, 0.7], "add": False},
    {"tool": "brush", "points": [[0.1, 0.1], [0.9, 0.4]], "radius": 0.1, "add": True},
    {"tool": "gradient", "from": [0.5, 0.1], "to": [0.5, 0.9], "add": "intersect"},
    {"tool": "invert"},
]


def hostile_edits(chance: random.Random) -> Any:
    done: Any = chance.sample(EDITS, chance.randrange(1, len(EDITS) + 1))
    for _ in range(chance.choice((1, 1, 2, 4))):
        done = mutate.changed(done, chance)
    return done


def edits(chance: random.Random, folder: Path) -> object:
    from ranlen.masks.edits import parse_edits, rasterise

    return rasterise(parse_edits(hostile_edits(chance)), samples.SIZE)


def edits_file(chance: random.Random, folder: Path) -> object:
    """The file that --edits names: bytes that were JSON once."""
    from ranlen.masks.edits import read_edits

    text = json.dumps(hostile_edits(chance)).encode()
    if chance.random() < 0.1:
        text = chance.choice((b"[" * 100_000, b"[[" + b"1" * 5000 + b"]]", b"\xff\xfe", b'{"a":' * 5000, b""))
    path = folder / "edits.json"
    path.write_bytes(mutate.damaged(text, [text], chance) if chance.random() < 0.5 else text)
    return read_edits(path)


@functools.cache
def weight_files() -> list[bytes]:
    from ranlen.models import weights
    from ranlen.models.enhancer import Enhancer

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.safetensors"
        weights.save(Enhancer("star_dce", "ranlen"), path, {"note": "for a test"})
        return [path.read_bytes()]


def weight_file(chance: random.Random, folder: Path) -> object:
    """Weights damaged anywhere, or in the JSON of the header with the length made right again."""
    from ranlen.models import weights

    (data,) = weight_files()
    if chance.random() < 0.6:
        count = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + count])
        if chance.random() < 0.3:
            about = mutate.changed(json.loads(header["__metadata__"]["ranlen"]), chance)
            header["__metadata__"]["ranlen"] = json.dumps(about)
        else:
            header = mutate.changed(header, chance)
        text = json.dumps(header).encode()
        data = len(text).to_bytes(8, "little") + text + data[8 + count :]
    else:
        data = mutate.damaged(data, [data], chance)
    path = folder / "a.safetensors"
    path.write_bytes(data)
    return weights.load(path)


def config(chance: random.Random, folder: Path) -> object:
    """Settings of a training run."""
    from train.config import TrainConfig, load_config

    names = list(TrainConfig.__dataclass_fields__)
    settings = {name: getattr(TrainConfig(), name) for name in chance.sample(names, 5)}
    lines = [
        f"{name} = {json.dumps(mutate.changed(value, chance) if chance.random() < 0.3 else value)}"
        for name, value in settings.items()
    ]
    text = "\n".join(lines).replace("NaN", "nan").replace("Infinity", "inf").encode()
    if chance.random() < 0.5:
        text = mutate.damaged(text, [b"epochs = " + b"[" * 5000, b"\xff"], chance)
    path = folder / "a.toml"
    path.write_bytes(text)
    return load_config(path, {})


def allowed(name: str) -> tuple[type[Exception], ...]:
    """The errors that a door may answer with."""
    from ranlen.io.images import ImageError
    from ranlen.masks.edits import EditError
    from ranlen.models.weights import WeightsError
    from train.config import ConfigError

    return {
        "photo": (ImageError,),
        "mask": (ImageError,),
        "edits": (EditError,),
        "edits_file": (EditError,),
        "weight_file": (WeightsError,),
        "config": (ConfigError,),
    }[name]


TARGETS: dict[str, Try] = {
    "photo": photo,
    "mask": mask,
    "edits": edits,
    "edits_file": edits_file,
    "weight_file": weight_file,
    "config": config,
}
