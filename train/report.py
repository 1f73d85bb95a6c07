"""What the scores of many photos come to: means, intervals, paired differences; as text, as a table of rows."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from train.intervals import central, describe, interval, resample, resampled

Scores = dict[str, dict[str, dict[str, Tensor]]]  # model, kind of mask, figure: (N,)
Report = dict[str, Any]  # see `summarise`


class Figure(NamedTuple):
    """How a figure is shown.

    Attributes:
        title: over its column.
        digits: after the point.
        published: whether the tables of weights/README.md show it.
        hub: the metric's kind on the Hugging Face Hub and its name there, for those that a card holds.
    """

    title: str
    digits: int
    published: bool = True
    hub: tuple[str, str] | None = None


FIGURES = {  # all that is printed, published and pushed
    "psnr_a": Figure("PSNR A", 2, hub=("psnr", "PSNR in Area A [dB]")),
    "psnr_a_best": Figure("best degree", 2),
    "best_degree": Figure("at degree", 2, published=False),
    "ssim_a": Figure("SSIM A", 3, hub=("ssim", "SSIM in Area A")),
    "ssim_a_paper": Figure("SSIM A, paper's", 3),
    "psnr_b": Figure("PSNR B", 2, hub=("psnr", "PSNR in Area B [dB]")),
    "peak_slope": Figure("slope B", 2),
    "non_monotonicity": Figure("halo B", 3),
    "roughness": Figure("rough B", 1, published=False),
    "psnr_c_raw": Figure("PSNR C raw", 1, hub=("psnr", "PSNR in Area C before the attenuation [dB]")),
    "changed_c": Figure("changed C", 3),
    "clipped_a": Figure("clipped A", 4),
    "chroma_a": Figure("chroma A", 1),
    "lifted_a": Figure("lifted A", 3),
}
OVER_SETS = {"psnr_a": "degree 1", "psnr_a_best": "best degree"}  # what sets are compared by
RIVALS = {"meter": "psnr_a", "one gain (oracle)": "psnr_a_best"}  # rows that RANLEN has to be above, and in what


@dataclass(frozen=True)
class Scored:
    """Every figure of every photo.

    Attributes:
        data: name of the set.
        split: of it.
        photos: their names, N of them.
        networks: of each model that is a network, its backbone, method and the data it was trained on.
        scores: model, kind of mask, figure: (N,).
    """

    data: str
    split: str
    photos: list[str]
    networks: dict[str, dict[str, str]]
    scores: Scores


def summarise(scored: Scored) -> Report:
    """Means with their intervals, and what RANLEN is ahead by.

    Returns:
        {"data", "split",
         "models": {name: {shape: {figure: mean, ..., "images": count, "ci95": {figure: [low, high]}}}},
         "networks": {name: {"backbone", "method", "trained_on"}},
         "intervals": {"over": "scenes" or "photos", "count", "resamples", "seed"},
         "differences": {shape: [{"of", "minus", "figure", "mean", "ci95"}]}}
    """
    counts = resample(scored.photos)
    models: dict[str, dict[str, dict[str, Any]]] = {}
    for name, shapes in scored.scores.items():
        models[name] = {}
        for shape, figures in shapes.items():
            means: dict[str, Any] = {figure: values.nanmean().item() for figure, values in figures.items()}
            bounds = {figure: interval(values.numpy(), counts) for figure, values in figures.items()}
            models[name][shape] = {**means, "images": len(scored.photos), "ci95": bounds}
    differences: dict[str, list[dict[str, Any]]] = {shape: [] for shape in scored.scores["input"]}
    for shape, rows in differences.items():
        for name, other, figure in comparisons(scored.networks, scored.scores):
            # Paired: most of what makes photos differ falls out, so this is far tighter than two intervals.
            gap = scored.scores[name][shape][figure] - scored.scores[other][shape][figure]
            bound = interval(gap.numpy(), counts)
            row = {"of": name, "minus": other, "figure": figure, "mean": gap.nanmean().item(), "ci95": bound}
            rows.append(row)
    return {
        "data": scored.data,
        "split": scored.split,
        "models": models,
        "networks": scored.networks,
        "intervals": describe(scored.photos),
        "differences": differences,
    }


def summarise_all(scored: Sequence[Scored]) -> Report:
    """What `summarise` says of the first set, and, if there are more, of each of the others, and of all together.

    Returns:
        As `summarise`, with "others": {name of a set: its summary} and
        "over_sets": {"sets": [name, ...],
                      "models": {name: {figure: {"means": [mean, ...], "mean": mean of them, "ci95": [low, high]}}},
                      "differences": [{"of", "minus", "figure", "means", "mean", "ci95"}]}
        of the figures in `OVER_SETS`, on each set under its first kind of mask.
    """
    first, *others = scored
    report = summarise(first)
    if others:
        report["others"] = {each.data: summarise(each) for each in others}
        report["over_sets"] = over_sets(scored)
    return report


def over_sets(scored: Sequence[Scored]) -> Report:
    """The part "over_sets" of a report: every set counts the same, however many photos it has."""
    counts = [resample(each.photos, seed) for seed, each in enumerate(scored)]
    shapes = [next(iter(each.scores["input"])) for each in scored]
    several = all(int(describe(each.photos)["count"]) > 1 for each in scored)

    def values(name: str, figure: str) -> list[np.ndarray]:
        return [each.scores[name][shape][figure].numpy() for each, shape in zip(scored, shapes, strict=True)]

    def together(of: Sequence[np.ndarray]) -> dict[str, Any]:
        means = [float(np.nanmean(each)) for each in of]
        drawn = np.mean([resampled(*pair) for pair in zip(of, counts, strict=True)], axis=0)
        return {"means": means, "mean": float(np.mean(means)), "ci95": central(drawn) if several else None}

    names = scored[0].scores
    models = {name: {figure: together(values(name, figure)) for figure in OVER_SETS} for name in names}
    differences = []
    for name, other, figure in comparisons(scored[0].networks, names):
        if figure in OVER_SETS:
            gaps = [mine - its for mine, its in zip(values(name, figure), values(other, figure), strict=True)]
            differences.append({"of": name, "minus": other, "figure": figure, **together(gaps)})
    return {"sets": [each.data for each in scored], "models": models, "differences": differences}


def comparisons(networks: Mapping[str, Mapping[str, str]], rows: Iterable[str] = ()) -> Iterator[tuple[str, str, str]]:
    """(RANLEN, another row, figure): those of its backbone at degree 1 and at their best, and in B where they fade.

    Args:
        networks: of each, its backbone and method.
        rows: names of all that was scored; of these, those in `RIVALS` are compared with too.
    """
    names = list(networks)
    rivals = [(row, figure) for row, figure in RIVALS.items() if row in rows]
    for name, mine in networks.items():
        if mine["method"] != "ranlen":
            continue
        for row, figure in rivals:
            yield name, row, figure
        for other, its in networks.items():
            twice = its["method"] == "ranlen" and names.index(other) <= names.index(name)
            if its["backbone"] == mine["backbone"] and not twice:
                yield name, other, "psnr_a"
                yield name, other, "psnr_a_best"
                if its["method"] != "global":
                    yield name, other, "psnr_b"


def bounds(value: list[float] | None, digits: int, sign: str = "") -> str:
    """An interval in a cell."""
    return "-" if value is None else f"{value[0]:{sign}.{digits}f}..{value[1]:{sign}.{digits}f}"


def as_text(report: Report) -> str:
    """The sets of a report one after the other, and what they come to together."""
    parts = [set_as_text(report), *(set_as_text(each) for each in report.get("others", {}).values())]
    return "\n".join([*parts, *([over_sets_as_text(report["over_sets"])] if "over_sets" in report else [])])


def over_sets_as_text(over: Report) -> str:
    """PSNR in A on every set, at degree 1 and at the best degree, with the mean over the sets last; and differences."""
    titles = [*over["sets"], "mean"]
    columns = [max(9, len(title) + 2) for title in titles]
    models, differences = over["models"], over["differences"]
    pairs = [(f"{row['of']} - {row['minus']}", row) for row in differences]
    wide = max(len(name) for name in [*models, *(name for name, _ in pairs)]) + 2

    def line(name: str, row: Mapping[str, Any], sign: str = "") -> str:
        cells = zip([*row["means"], row["mean"]], columns, strict=True)
        return (
            f"{name:<{wide}}"
            + "".join(f"{x:>{sign}{width}.2f}" for x, width in cells)
            + "  "
            + bounds(row["ci95"], 2, sign)
        )

    lines = []
    for figure, title in OVER_SETS.items():
        head = "".join(f"{each:>{width}}" for each, width in zip(titles, columns, strict=True))
        lines += ["", f"PSNR A, {title}; behind the mean its 95 % interval", " " * wide + head]
        lines += [line(name, row[figure]) for name, row in models.items()]
        lines += [line(name, row, "+") for name, row in pairs if row["figure"] == figure]
    return "\n".join(lines)


def set_as_text(report: Report) -> str:
    """For each kind of mask a table of means, each above its interval, and the paired differences."""
    about = report["intervals"]
    lines = []
    wide = max(18, *(len(name) + 1 for name in report["models"]))
    for shape, differences in report["differences"].items():
        lines += [
            "",
            f"{report['data']} {report['split']}, {shape}, {report['models']['input'][shape]['images']} photos; below "
            f"each mean its 95 % interval ({about['resamples']} resamples of {about['count']} {about['over']})",
            " " * wide + "".join(f"{about.title:>16}" for about in FIGURES.values()),
        ]
        for name, shapes in report["models"].items():
            figures = shapes[shape]
            means = (f"{figures[key]:>16.{about.digits}f}" for key, about in FIGURES.items())
            around = (f"{bounds(figures['ci95'][key], about.digits):>16}" for key, about in FIGURES.items())
            lines += [f"{name:<{wide}}" + "".join(means), " " * wide + "".join(around)]
        if differences:
            lines += ["", "paired differences in dB, and their 95 % intervals"]
        for row in differences:
            what = f"{row['of']} - {row['minus']}"
            title = FIGURES[row["figure"]].title
            lines.append(f"{what:<{2 * wide + 3}}{title}  {row['mean']:+.2f}  {bounds(row['ci95'], 2, '+')}")
    return "\n".join(lines)


def as_csv(scored: Sequence[Scored]) -> str:
    """One row per set, model, kind of mask and photo; an undefined figure is an empty cell."""
    file = io.StringIO()
    writer = csv.writer(file)
    first = next(iter(next(iter(scored[0].scores.values())).values()))
    writer.writerow(["set", "model", "mask", "photo", *first])
    for each in scored:
        for name, shapes in each.scores.items():
            for shape, figures in shapes.items():
                columns = [values.tolist() for values in figures.values()]
                for photo, *row in zip(each.photos, *columns, strict=True):
                    writer.writerow([each.data, name, shape, photo, *("" if x != x else f"{x:.6g}" for x in row)])
    return file.getvalue()
