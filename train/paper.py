"""The paper's Tables 1 and 2 beside our numbers, where the data is the paper's."""

from __future__ import annotations

from train.data import DataError
from train.report import Report

SETS = {"uieb": ("UIEB", 78), "fivek": ("FiveK", 500)}  # name in the paper, photos in its test set (Section 4.1)

# Method in the paper: (backbone, method) here, and published PSNR and SSIM in Area A by set.
Rows = dict[str, tuple[tuple[str, str], dict[str, tuple[float, float]]]]
TABLES: dict[str, Rows] = {
    "Table 1, local networks": {
        "STAR-DCE-Concat": (("star_dce", "concat"), {"uieb": (17.34, 0.963), "fivek": (18.84, 0.972)}),
        "STAR-DCE-RANLEN": (("star_dce", "ranlen"), {"uieb": (18.69, 0.967), "fivek": (19.03, 0.974)}),
        "DeepUPE-Concat": (("deepupe", "concat"), {"uieb": (16.19, 0.957), "fivek": (18.11, 0.965)}),
        "DeepUPE-RANLEN": (("deepupe", "ranlen"), {"uieb": (18.03, 0.957), "fivek": (18.33, 0.967)}),
    },
    "Table 2, global networks": {
        "STAR-DCE": (("star_dce", "global"), {"uieb": (19.00, 0.972), "fivek": (20.30, 0.981)}),
        "DeepUPE": (("deepupe", "global"), {"uieb": (14.83, 0.944), "fivek": (18.27, 0.963)}),
    },
}
READINGS = {  # the paper's words allow two readings of each figure: (title, digits)
    "psnr_a": ("error / r_A", 2),
    "psnr_a_literal": ("dB x 1/r_A", 1),
    "ssim_a": ("SSIM in A", 3),
    "ssim_a_paper": ("whole frame", 3),
}


def check(name: str, count: int) -> None:
    """Refuse to call a sample, or another split, a set of the paper.

    Raises:
        DataError: another number of photos than the paper tested on.
    """
    title, expected = SETS[name]
    if count != expected:
        raise DataError(
            f"--paper {name}: the paper tests on {expected} photos of {title}, this split has {count}; "
            "leave the flag out to score it under its own name"
        )


def as_text(report: Report, name: str | None) -> str:
    """Both tables for both sets: the published numbers, and ours where they exist.

    Args:
        report: from `report.summarise`, with circles among the masks.
        name: a key of `SETS` if the report's data is that set, else none.
    """
    lines = []
    for title, rows in TABLES.items():
        lines += ["", f"The paper's {title}, Area A, circles: its PSNR / SSIM, and ours in both readings of each"]
        lines.append(f"{'':<17}{'':<7}{'paper':>13}" + "".join(f"{head:>13}" for head, _ in READINGS.values()))
        for method, (kind, published) in rows.items():
            for key, (psnr, ssim) in published.items():
                theirs = f"{psnr:.2f} / {ssim:.3f}"
                lines.append(f"{method:<17}{SETS[key][0]:<7}{theirs:>13}" + ours(report, kind, key == name, key))
    return "\n".join(lines)


def ours(report: Report, kind: tuple[str, str], here: bool, key: str) -> str:
    """Our part of a row, or why there is none."""
    if not here:
        return f"  not run: needs {SETS[key][0]}"
    networks = report["networks"].items()
    found = [name for name, each in networks if (each["backbone"], each["method"]) == kind]
    if not found:
        return f"  not run: needs weights of {kind[0]}-{kind[1]}"
    figures = report["models"][found[0]]["circle"]
    cells = "".join(f"{figures[figure]:>13.{digits}f}" for figure, (_, digits) in READINGS.items())
    return f"{cells}  {found[0]}, trained on {report['networks'][found[0]]['trained_on']}"
