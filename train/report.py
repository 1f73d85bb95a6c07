"""What the scores of many photos come to: means, intervals, paired differences; as text, as a table of rows."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from train.intervals import describe, interval, resample

Scores = dict[str, dict[str, dict[str, Tensor]]]  # model, kind of mask, figure: (N,)
Report = dict[str, Any]  # see `summarise`

COLUMNS = {  # figure: (title, digits)
    "psnr_a": ("PSNR A", 2),
    "ssim_a": ("SSIM A", 3),
    "ssim_a_paper": ("(paper's)", 3),
    "clipped_a": ("clipped A", 4),
    "psnr_b": ("PSNR B", 2),
    "peak_slope": ("slope B", 2),
    "non_monotonicity": ("halo B", 3),
    "roughness": ("rough B", 1),
    "psnr_c_raw": ("PSNR C raw", 1),
    "changed_c": ("changed C", 3),
}


@dataclass(frozen=True)
class Scored:
    """Every figure of every photo.

    Attributes:
        data: name of the data folder.
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
        for name, other, figure in comparisons(scored.networks):
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


def comparisons(networks: Mapping[str, Mapping[str, str]]) -> Iterator[tuple[str, str, str]]:
    """(RANLEN, another of its backbone, figure), for PSNR in A, and in B where the other fades its light, too."""
    names = list(networks)
    for name, mine in networks.items():
        for other, its in networks.items():
            twice = its["method"] == "ranlen" and names.index(other) <= names.index(name)
            if mine["method"] == "ranlen" and its["backbone"] == mine["backbone"] and not twice:
                yield name, other, "psnr_a"
                if its["method"] != "global":
                    yield name, other, "psnr_b"


def bounds(value: list[float] | None, digits: int, sign: str = "") -> str:
    """An interval in a cell."""
    return "-" if value is None else f"{value[0]:{sign}.{digits}f}..{value[1]:{sign}.{digits}f}"


def as_text(report: Report) -> str:
    """For each kind of mask a table of means, each above its interval, and the paired differences."""
    about = report["intervals"]
    lines = []
    wide = max(18, *(len(name) + 1 for name in report["models"]))
    for shape, differences in report["differences"].items():
        lines += [
            "",
            f"{report['data']} {report['split']}, {shape}, {report['models']['input'][shape]['images']} photos; below "
            f"each mean its 95 % interval ({about['resamples']} resamples of {about['count']} {about['over']})",
            " " * wide + "".join(f"{title:>15}" for title, _ in COLUMNS.values()),
        ]
        for name, shapes in report["models"].items():
            figures = shapes[shape]
            means = (f"{figures[key]:>15.{digits}f}" for key, (_, digits) in COLUMNS.items())
            around = (f"{bounds(figures['ci95'][key], digits):>15}" for key, (_, digits) in COLUMNS.items())
            lines += [f"{name:<{wide}}" + "".join(means), " " * wide + "".join(around)]
        if differences:
            lines += ["", "paired differences in dB, and their 95 % intervals"]
        for row in differences:
            what = f"{row['of']} - {row['minus']}"
            title = COLUMNS[row["figure"]][0]
            lines.append(f"{what:<{2 * wide + 3}}{title}  {row['mean']:+.2f}  {bounds(row['ci95'], 2, '+')}")
    return "\n".join(lines)


def as_csv(scored: Scored) -> str:
    """One row per model, kind of mask and photo; an undefined figure is an empty cell."""
    file = io.StringIO()
    writer = csv.writer(file)
    first = next(iter(next(iter(scored.scores.values())).values()))
    writer.writerow(["model", "mask", "photo", *first])
    for name, shapes in scored.scores.items():
        for shape, figures in shapes.items():
            columns = [values.tolist() for values in figures.values()]
            for photo, *row in zip(scored.photos, *columns, strict=True):
                writer.writerow([name, shape, photo, *("" if x != x else f"{x:.6g}" for x in row)])
    return file.getvalue()
