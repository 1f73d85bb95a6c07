"""Publish trained networks: `python -m train.publish RUN ... --data FOLDER --subject-masks FOLDER`.

Copies the best weights of each run into the folder of published weights, scores all published models on the test split,
and on further sets if there are any, and writes the scores beside them, as scores.json and as tables in README.md.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ranlen.io.files import write_atomically
from ranlen.io.images import ImageError
from ranlen.methods import METHODS
from ranlen.models import weights
from ranlen.models.weights import WeightsError
from train.command import add_old_name, says_in_one_line
from train.config import in_todays_words
from train.data import DataError
from train.evaluate import add_sets, evaluate, further_sets, pairs_set
from train.export import ExportError, export
from train.report import FIGURES, OVER_SETS, Report, summarise_all
from train.sets import EvaluationSet

MARK = "<!-- scores: written by python -m train.publish -->"
END = "<!-- end of scores -->"
TITLES = {"circle": "the paper's circles"}


def publish(runs: list[Path], sets: Sequence[EvaluationSet], readme: Path | None) -> None:
    """Copy, write the graphs, score, write what was scored.

    Args:
        runs: folders of finished trainings.
        sets: to score on; the first is shown under each of its kinds of masks, the others in one table.
        readme: a page that shows the first kind of mask, and that table.
    """
    cards = {run / "best.safetensors": weights.card(run / "best.safetensors") for run in runs}
    for best, about in cards.items():
        if about["method"] not in METHODS:
            raise DataError(f"{best} is an ablation ({about['method']}): to be scored by train.evaluate, not published")
    for best, about in cards.items():
        target = weights.folder() / f"{about['backbone']}-{about['method']}.safetensors"
        weights.save(weights.load(best), target, without_places(about["card"]))
        write_scores({**weights.scores(), "sha256": weights.digests()})  # or the new file would be refused as another
        export(weights.load(target), target.with_suffix(".onnx"), target)
    write_scores({**weights.scores(), "sha256": weights.digests()})
    names = weights.published()
    report = summarise_all(evaluate(sets, names))
    report["sha256"] = weights.digests()
    write_scores(rounded(report))
    shapes = list(report["models"]["input"])
    for page, shown in ((weights.folder() / "README.md", shapes), (readme, shapes[:1])):
        if page:
            write_atomically(page, with_tables(page.read_text(), rounded(report), shown).encode())


def without_places(card: Mapping[str, Any]) -> dict[str, Any]:
    """A card that names folders by their last part and does not tell where they were."""
    config = in_todays_words(card["config"])
    config = {key: value for key, value in config.items() if key not in ("out", "threads", "device")}
    for key in config.keys() & {"data", "sources", "photos", "subject_masks"}:  # older runs knew no sources
        config[key] = ",".join(Path(folder).name for folder in config[key].split(","))
    if config["start"]:
        about = weights.card(config["start"])
        config["start"] = f"{about['backbone']}-{about['method']}"
    return {**card, "config": config}


def write_scores(report: Mapping[str, Any]) -> None:
    """Write what `weights.scores` reads."""
    write_atomically(weights.folder() / weights.SCORES, (json.dumps(report, indent=1) + "\n").encode())


def rounded(value: Any) -> Any:
    """The same structure with five decimals, which is more than the photos can tell apart."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return round(value, 5) if isinstance(value, float) else value


def with_tables(text: str, report: Report, shapes: list[str]) -> str:
    """A page with what is between its marks replaced by tables."""
    before, _, rest = text.partition(MARK)
    _, _, after = rest.partition(END)
    return f"{before}{MARK}\n{tables(report, shapes)}{END}{after}"


def tables(report: Report, shapes: list[str]) -> str:
    """One Markdown table per kind of mask, and one over all sets if there are several."""
    models = report["models"]
    lines = []
    for shape in shapes:
        title = TITLES.get(shape, shape).capitalize()
        lines += ["", f"**{title}**, {models['input'][shape]['images']} photos", ""]
        figures = {key: each for key, each in FIGURES.items() if each.published and key in models["input"][shape]}
        lines += ["| | " + " | ".join(each.title for each in figures.values()) + " |"]
        lines += ["|---" * (len(figures) + 1) + "|"]
        for name, scores in models.items():
            cells = (cell(scores[shape], key, each.digits) for key, each in figures.items())
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
    if over := report.get("over_sets"):
        titles = [*over["sets"], "mean"]
        lines += ["", f"**On {len(over['sets'])} sets**, PSNR A at {' / '.join(OVER_SETS.values())}", ""]
        lines += ["| | " + " | ".join(titles) + " |", "|---" * (len(titles) + 1) + "|"]
        for name, rows in over["models"].items():
            both = zip(*([*row["means"], row["mean"]] for row in rows.values()), strict=True)
            lines.append(f"| {name} | " + " | ".join(" / ".join(f"{x:.2f}" for x in pair) for pair in both) + " |")
    return "\n".join(lines) + "\n\n"


def cell(figures: Mapping[str, Any], key: str, digits: int) -> str:
    """A mean; of PSNR in A, by which networks are compared, with its 95 % interval where the report has one."""
    mean = f"{figures[key]:.{digits}f}"
    around = figures.get("ci95", {}).get(key) if key == "psnr_a" else None
    return f"{mean} ({around[0]:.1f} to {around[1]:.1f})" if around else mean


@says_in_one_line("publish", DataError, ExportError, ImageError, WeightsError, OSError)
def main(arguments: list[str] | None = None) -> int:
    """Read the command line; 2 for a command that makes no sense."""
    parser = argparse.ArgumentParser(prog="python -m train.publish", description="Publish trained networks.")
    parser.add_argument("runs", type=Path, nargs="*", help="--out folders of finished trainings; none: score again")
    parser.add_argument("--data", type=Path, required=True, help="folder with low/, high/ and split.json")
    parser.add_argument("--subject-masks", type=Path, help="folder of subject masks, to score with them too")
    add_old_name(parser, "--silhouettes", "subject_masks", Path)
    add_sets(parser)
    parser.add_argument("--readme", type=Path, help="Markdown file that shows the first table, between the same marks")
    options = parser.parse_args(arguments)
    sets = [pairs_set(options.data, subject_masks=options.subject_masks), *further_sets(options)]
    publish(options.runs, sets, options.readme)
    return 0


if __name__ == "__main__":
    sys.exit(main())
