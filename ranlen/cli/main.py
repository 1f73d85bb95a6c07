"""The command line: `ranlen light`, `ranlen compare`, `ranlen segment`, `ranlen models`.

Exit code 2 for a command that makes no sense, 1 for a photo that cannot be processed; one line on stderr either way.
Heavy modules are imported where they are used, so that --help and usage errors answer at once.
"""

from __future__ import annotations

import argparse
import functools
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ranlen.cli.arguments import OneLineParser, amount, degree, fraction, numbers
from ranlen.cli.inputs import UsageError, asker, choose_device, find_subject, read_edits, read_inputs
from ranlen.facts import (
    DEFAULT_BACKBONE,
    DEFAULT_MODEL,
    DRAWN_FEATHER,
    ENGINES,
    FOUND_FEATHER,
    KEPT,
    KEPT_OF,
    MAX_DEGREE,
    METHODS,
    SEGMENTERS,
    SIDES,
)

if TYPE_CHECKING:
    from ranlen.cli.batch import Job
    from ranlen.networks import Network

PHOTO = "JPEG, PNG, WebP, TIFF, BMP, HEIC, AVIF or a camera's raw"


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    try:
        options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads our output has seen enough: `ranlen models | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python would complain on its way out
        return 0
    except UsageError as error:
        parser.exit(2, f"ranlen: {error}\n")
    except (ValueError, OSError) as error:
        print(f"ranlen: {error}", file=sys.stderr)
        return 1
    return 0


def kept() -> str:
    """What stays of a file, as a table in plain text."""
    rows = [KEPT_OF, *KEPT]
    widths = [max(len(row[column]) for row in rows) for column in range(len(KEPT_OF))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "what stays of a file that is written as its own kind:\n  " + "\n  ".join(lines)


def build_parser() -> argparse.ArgumentParser:
    """All commands and their arguments."""
    parser = OneLineParser(prog="ranlen", description="Light the subject of a dark photo, and only the subject.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=OneLineParser)

    region = OneLineParser(add_help=False)
    subject = region.add_mutually_exclusive_group(required=True)
    subject.add_argument("--mask", type=Path, metavar="FILE", help="picture of the photo's size, white on the subject")
    subject.add_argument(
        "--edits", type=Path, metavar="FILE", help="clicks and strokes, or a recipe that the page saved, as JSON"
    )
    subject.add_argument("--circle", type=numbers(3), metavar="X,Y,R", help="circle in pixels of the upright photo")
    subject.add_argument("--click", type=numbers(2), metavar="X,Y", help="a pixel on the subject, which is then found")
    region.add_argument(
        "--feather",
        type=fraction,
        metavar="FRACTION",
        help="width of the band in which the light fades, of the short side "
        f"[{FOUND_FEATHER[0]} where a click found the subject, or its mask says so, else {DRAWN_FEATHER[0]}]",
    )
    region.add_argument(
        "--feather-side",
        choices=SIDES,
        help="that band outside the subject, inside it, or both "
        f"[{FOUND_FEATHER[1]} where it was found, else {DRAWN_FEATHER[1]}]",
    )
    region.add_argument(
        "--feather-edges",
        action="store_true",
        help="the light follows the photo's edges across that band: hair, leaves",
    )
    region.add_argument("--transition", dest="feather", type=fraction, help=argparse.SUPPRESS)  # their names of before
    region.add_argument("--grow", dest="feather_side", choices=SIDES, help=argparse.SUPPRESS)
    region.add_argument(
        "--degree", type=degree, default=1.0, metavar="D", help=f"how much light: 0 none to {MAX_DEGREE:g} [1]"
    )
    region.add_argument(
        "--denoise",
        type=amount,
        metavar="auto|0..1",
        help="how much of the noise goes where light comes [auto: as much as the photo needs]",
    )
    region.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")

    command = commands.add_parser(
        "light",
        parents=[region],
        help="light the subject of a photo, or of many",
        epilog=kept(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("photos", type=Path, nargs="+", metavar="photo", help=PHOTO)
    command.add_argument(
        "-o", "--output", type=Path, required=True, help="file to write, or folder for many (--mask: one, or a folder)"
    )
    command.add_argument("--overwrite", action="store_true", help="many photos: light again what is in the folder")
    command.add_argument(
        "--engine", choices=ENGINES, default="local", help="many photos: all cores here, or Ray [local]"
    )
    command.add_argument(
        "--model", default=DEFAULT_MODEL, metavar="NAME", help=f"see `ranlen models` [{DEFAULT_MODEL}]"
    )
    command.set_defaults(run=run_light)

    command = commands.add_parser(
        "compare", parents=[region], help="one sheet: original, global, blend, Concat, RANLEN"
    )
    command.add_argument("photo", type=Path, help=PHOTO)
    command.add_argument("-o", "--output", type=Path, required=True, help="file to write; its suffix names the format")
    command.add_argument(
        "--backbone", default=DEFAULT_BACKBONE, metavar="NAME", help=f"see `ranlen models` [{DEFAULT_BACKBONE}]"
    )
    command.set_defaults(run=run_compare)

    command = commands.add_parser("segment", help="find the subject from clicks and write its mask")
    command.add_argument("photo", type=Path, help=PHOTO)
    command.add_argument("-o", "--output", type=Path, required=True, help="mask to write, white on the subject")
    command.add_argument(
        "--click",
        type=numbers(2),
        action="append",
        default=[],
        metavar="X,Y",
        help="a pixel on the subject; can be repeated",
    )
    command.add_argument(
        "--not", type=numbers(2), action="append", default=[], metavar="X,Y", dest="outside", help="a pixel off it"
    )
    command.add_argument("--box", type=numbers(4), metavar="X0,Y0,X1,Y1", help="a box around the subject")
    command.add_argument(
        "--segmenter", choices=SEGMENTERS, default="auto", help="auto: SAM, or GrabCut without its package [auto]"
    )
    command.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    command.set_defaults(run=run_segment)

    command = commands.add_parser("models", help="list the published models")
    command.set_defaults(run=run_models)
    return parser


def run_light(options: argparse.Namespace) -> None:
    """Light one photo into a file, or many into a folder."""
    from ranlen.cli.batch import Job

    read_edits(options)
    if len(options.photos) > 1 or options.output.is_dir() or not options.output.suffix:
        run_light_many(options)
    else:
        light_one(options, Job(options.photos[0], options.output, options.mask))


def run_light_many(options: argparse.Namespace) -> None:
    """Light photos into a folder; list at the end what could not be done."""
    from ranlen.cli import batch

    if options.output.exists() and not options.output.is_dir():
        raise UsageError(f"{options.output} is a file; {len(options.photos)} photos need a folder")
    try:
        jobs, done = batch.plan(options.photos, options.output, options.mask, options.overwrite)
    except batch.BatchError as error:
        raise UsageError(str(error)) from None
    if len(jobs) >= (os.cpu_count() or 1):  # a core for each photo: what is loaded from here on takes no more
        os.environ.setdefault("OMP_NUM_THREADS", "1")
    work = functools.partial(light_one, options, network=load(options)) if jobs else print
    results = batch.ENGINES[options.engine](work, jobs)
    failed = batch.follow(results, len(jobs), sys.stderr)
    for job, complaint in failed:
        print(f"ranlen: {job.photo}: {complaint}", file=sys.stderr)
    there = f", {done} were there already (--overwrite does them again)" if done else ""
    print(f"{len(jobs) - len(failed)} photos lit{there}")
    if failed:
        raise ValueError(f"{len(failed)} of {len(options.photos)} photos failed")


def light_one(options: argparse.Namespace, job: Job, network: Network | None = None) -> None:
    """Light one photo as the options say; the network is loaded if it is not given."""
    from ranlen.io import images

    images.format_of(job.output)  # an unwritable name is found out before the work is done
    tell = show_share if network is None and sys.stderr.isatty() else lambda share: None
    if options.recipe:
        from ranlen import recipe, retouch

        photo = images.read(job.photo)
        ask = asker(retouch.view(photo), "auto", options.device)
        network = network or load(options)
        photo = recipe.light_subjects(photo, options.recipe, ask, network, tell, in_place=True)
    else:
        photo, mask = read_inputs(options, job.photo, job.mask)
        from ranlen import retouch

        photo = retouch.light(
            photo,
            mask,
            network or load(options),
            options.degree,
            denoise=options.denoise,
            in_place=True,
            tell=tell,
        )
    for remark in images.remarks(photo, images.format_of(job.output)):
        print(f"ranlen: {job.output.name}: {remark}", file=sys.stderr)
    finish = images.writing(photo, job.output)
    del photo  # a JPEG's blocks take three bytes a pixel or more while they are changed
    finish()


def show_share(share: float) -> None:
    """How far taking the noise out is, on a terminal, in one line that goes when it is done."""
    bar = "=" * round(30 * share)
    sys.stderr.write("\r\x1b[K" if share == 1 else f"\rnoise [{bar:<30}]")
    sys.stderr.flush()


def load(options: argparse.Namespace) -> Network:
    """The network."""
    from ranlen import networks

    return networks.load(options.model, choose_device(options.device))


def run_compare(options: argparse.Namespace) -> None:
    """Write a labelled sheet of all methods."""
    from ranlen import networks, retouch
    from ranlen.cli import sheet
    from ranlen.io import images

    images.format_of(options.output)
    read_edits(options)
    if options.recipe and len(options.recipe.subjects) > 1:
        raise UsageError(f"{options.edits} has {len(options.recipe.subjects)} subjects; a sheet compares one")
    photo, mask = read_inputs(options, options.photo, options.mask)
    device = choose_device(options.device)
    methods = [networks.load(f"{options.backbone}-{method}", device) for method in METHODS]
    results = retouch.compare(photo, mask, methods, options.degree, denoise=options.denoise)
    sheet.contact_sheet(results, mask).write(options.output)


def run_segment(options: argparse.Namespace) -> None:
    """Write the mask of what was clicked."""
    from ranlen.io import images
    from ranlen.segment import Prompts

    if images.format_of(options.output) == "JPEG":
        raise UsageError("a mask needs a format that keeps it exactly: write a .png")
    photo = images.read(options.photo)
    prompts = Prompts(tuple(options.click), tuple(options.outside), options.box)
    mask = find_subject(photo, prompts, options.segmenter, options.device)
    images.mask_photo(mask, found=True).write(options.output)


def run_models(options: argparse.Namespace) -> None:
    """Print a line for each published model."""
    from ranlen import networks
    from ranlen.models import weights

    device, names = choose_device("auto"), weights.published()
    if not names:
        raise ValueError(f"no weights in {weights.folder()}; train some (train/README.md) or set RANLEN_WEIGHTS")
    print(
        f"{'model':<18}{'backbone':<10}{'method':<8}{'parameters':>11}{'size':>9}"
        f"{'PSNR A':>9}{'SSIM A':>8}{'PSNR B':>8}  runs by"
    )
    scores = weights.scores().get("models", {})
    for name in names:
        about = weights.card(name)
        figures = scores.get(name, {}).get("circle", {})
        shown = [f"{figures[key]:.{digits}f}" if key in figures else "-" for key, digits in
                 (("psnr_a", 2), ("ssim_a", 3), ("psnr_b", 2))]  # fmt: skip
        backbone, _, method = name.partition("-")
        size = f"{about['bytes'] / 1e6:.2f} MB"
        row = f"{name:<18}{backbone:<10}{method:<8}{about['parameters']:>11,}{size:>9}"
        engine, why = networks.choose(weights.find(name), device)
        print(row + "{:>9}{:>8}{:>8}".format(*shown) + f"  {engine}, {why}")
    print("Scores: means over the test photos of the model card with the paper's circles (weights/README.md).")
