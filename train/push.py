"""Share a trained network on the Hugging Face Hub: `python -m train.push WEIGHTS user/repo`.

Writes the weights, their graph, what they are as config.json, and a model card with the scores in its metadata; whoever
has them loads them with `ranlen.load("user/repo")`, without torch.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, HfApi, ModelCardData

from ranlen.facts import BACKBONES
from ranlen.io.files import write_atomically
from ranlen.methods import METHODS
from ranlen.models import hub, weights
from ranlen.models.weights import WeightsError
from train.command import says_in_one_line
from train.export import ExportError, export
from train.publish import without_places
from train.report import FIGURES

HUB = {key: figure.hub for key, figure in FIGURES.items() if figure.hub}  # the metric's kind, and its name
TEST = "SICE, 46 test photos, the paper's circles"
CARD = """---
{metadata}
---

# {name}

Lights the subject of a dark photo, and only it: {title} under the method `{method}`, {parameters:,} parameters.

```python
import ranlen

photo = ranlen.read("dark.jpg")
subject = ranlen.disc(photo.size, center=(900, 700), radius=300)
ranlen.light(photo, ranlen.region_mask(subject), ranlen.load("{repository}")).write("lit.jpg")
```

## Scores

On {data}:

{rows}

## Settings

{settings}

The method is that of Yao, Huang and Xu, "Local Low-light Image Enhancement via Region-Aware Normalization".
"""


class PushError(ValueError):
    """What cannot be pushed; the message says why."""


def write_repository(name: str, repository: str, licence: str, folder: Path) -> None:
    """Write what the repository shall hold into a folder; a network that has no graph goes without, which is said.

    Errors are those of `weights.load`.

    Args:
        name: anything `weights.load` takes.
        repository: `user/repo`.
        licence: as the Hub names it: "mit", "cc-by-4.0", "other".
        folder: is made if need be.
    """
    path = weights.find(name)
    about = weights.card(path)
    if name in weights.published() and METHODS[name.split("-")[1]].weights:
        raise PushError(f"{name} has no weights of its own; push {about['backbone']}-{about['method']}")
    told = without_places(about["card"]) if "config" in about["card"] else about["card"]
    folder.mkdir(parents=True, exist_ok=True)
    network = weights.load(path)
    weights.save(network, folder / hub.FILE, told)
    (folder / hub.GRAPH).unlink(missing_ok=True)  # of what was written there before
    try:
        export(network, folder / hub.GRAPH, folder / hub.FILE)
    except ExportError as error:
        print(f"push: without a graph, so that torch is needed where it is loaded ({error})", file=sys.stderr)
    described = {key: about[key] for key in ("backbone", "method", "parameters")} | {"card": told}
    write_atomically(folder / "config.json", (json.dumps(described, indent=1) + "\n").encode())
    write_atomically(folder / "README.md", model_card(described, repository, licence, *scores_of(path, about)).encode())


def scores_of(path: Path, about: Mapping[str, Any]) -> tuple[str, dict[str, float]]:
    """On which data a file of weights was scored, and its figures: on the test split if it is published as it is."""
    report = weights.scores()
    if hashlib.sha256(path.read_bytes()).hexdigest() in report.get("sha256", {}).values():
        data, scores = TEST, report["models"][f"{about['backbone']}-{about['method']}"]["circle"]
    else:
        folder = Path(about["card"].get("config", {}).get("data", "its data")).name
        data, scores = f"{folder}, validation scenes", about["card"].get("validation", {})
    return data, {key: scores[key] for key in HUB if key in scores}


def model_card(about: Mapping[str, Any], repository: str, licence: str, data: str, scores: Mapping[str, float]) -> str:
    """The README.md of a repository, its scores in the metadata too, where the Hub reads them."""
    title = BACKBONES[about["backbone"]][1]
    slug = re.sub(r"[^a-z0-9_]+", "-", data.lower())
    results = [
        EvalResult("image-to-image", slug, data, HUB[key][0], round(value, 4), metric_name=HUB[key][1])
        for key, value in scores.items()
    ]
    metadata = ModelCardData(
        license=licence,
        library_name="ranlen",
        pipeline_tag="image-to-image",
        tags=["low-light", "image-enhancement", about["backbone"], about["method"]],
        model_name=repository.split("/")[1],
        eval_results=results or None,
    )
    rows = [f"| {HUB[key][1]} | {value:.3f} |" for key, value in scores.items()]
    settings = about["card"].get("config", {})
    return CARD.format(
        metadata=metadata.to_yaml(),
        name=repository.split("/")[1],
        title=title,
        repository=repository,
        data=data,
        rows="\n".join(["| | |", "|---|---|", *rows]) if rows else "It was not scored.",
        settings=", ".join(f"{key} {value}" for key, value in settings.items() if value != "") or "They are not known.",
        **{key: about[key] for key in ("method", "parameters")},
    )


def push(name: str, repository: str, licence: str, *, private: bool) -> str:
    """Push as one commit, whose name is returned; the repository is made first, if need be, for it may be refused."""
    api = HfApi()
    with refusals():
        api.create_repo(repository, private=private, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        write_repository(name, repository, licence, Path(folder))
        gone = None if (Path(folder) / hub.GRAPH).exists() else hub.GRAPH  # an older commit's, of other weights
        with refusals():
            return api.upload_folder(
                repo_id=repository, folder_path=folder, commit_message="Weights and card", delete_patterns=gone
            ).oid


@contextmanager
def refusals() -> Iterator[None]:
    """What the Hub refuses, as a PushError."""
    try:
        yield
    except Exception as error:  # which client it uses, and what that raises, changes with its version
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise PushError(f"the Hub refused ({reason}); `hf auth login` first, or set HF_TOKEN") from None


@says_in_one_line("push", PushError, WeightsError, OSError)
def main(arguments: list[str] | None = None) -> int:
    """Read the command line; 2 for a command that makes no sense or a Hub that refuses."""
    parser = argparse.ArgumentParser(prog="python -m train.push", description="Share a network on the Hub.")
    parser.add_argument("weights", help="a published name, a .safetensors file or the folder of a run")
    parser.add_argument("repository", help="user/repo; is made if need be")
    parser.add_argument("--license", default="other", help="as the Hub names it, of weights and their data [other]")
    parser.add_argument("--private", action="store_true", help="make the repository private, if it is made")
    parser.add_argument("--only", type=Path, metavar="FOLDER", help="write the files there, and push nothing")
    options = parser.parse_args(arguments)
    if not hub.is_repository(options.repository):
        raise PushError(f"a repository is named user/repo; got {options.repository!r}")
    if options.only:
        write_repository(options.weights, options.repository, options.license, options.only)
        print(f"written to {options.only}; nothing was pushed")
        return 0
    commit = push(options.weights, options.repository, options.license, private=options.private)
    print(f'pushed; pin it with ranlen.load("{options.repository}", revision="{commit}")')
    return 0


if __name__ == "__main__":
    sys.exit(main())
