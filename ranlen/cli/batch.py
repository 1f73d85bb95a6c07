"""Many photos: which are to be lit into which files, and lighting them on all cores or on a Ray cluster.

A result that is there counts as done, so a run that was stopped goes on where it was when it is started again: a file
is written whole or not at all.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from ranlen.io import images
from ranlen.io.images import name_of

Work = Callable[["Job"], None]


class BatchError(ValueError):
    """Photos that cannot be lit together; the message says why."""


@dataclass(frozen=True)
class Job:
    """One photo to light.

    Attributes:
        photo: the file to read.
        output: the file to write.
        mask: the mask file for it, or none where the subject is given otherwise.
    """

    photo: Path
    output: Path
    mask: Path | None = None


def plan(photos: Sequence[Path], folder: Path, masks: Path | None, overwrite: bool) -> tuple[list[Job], int]:
    """What is to be done, and how many photos are done already.

    Args:
        photos: the files to read; their results have the same names, a camera's raw as TIFF.
        folder: where results go; made if it is not there.
        masks: a mask for all, or a folder of masks with the names of the photos (suffixes may differ); or none.
        overwrite: do again what is done.

    Raises:
        BatchError: results would overwrite each other or a photo.
    """
    outputs: dict[Path, Path] = {}
    for photo in photos:
        output = folder / (f"{photo.stem}.tif" if photo.suffix.lower() in images.RAW else photo.name)
        if output in outputs:
            raise BatchError(f"{outputs[output]} and {photo} would both become {output}; rename one or run them apart")
        if output.resolve() == photo.resolve():
            raise BatchError(f"{photo} would be overwritten by its result; choose another folder")
        outputs[output] = photo
    folder.mkdir(parents=True, exist_ok=True)
    left = {output: photo for output, photo in outputs.items() if overwrite or not output.exists()}
    named = images.named(masks) if masks is not None and masks.is_dir() else None
    jobs = [
        Job(
            photo,
            output,
            masks if named is None else named.get(name_of(photo), (masks or folder) / f"{photo.stem}.png"),
        )
        for output, photo in left.items()
    ]
    return jobs, len(outputs) - len(left)


def on_threads(work: Work, jobs: Sequence[Job]) -> Iterator[tuple[Job, str | None]]:
    """Do jobs on all cores, one thread each: what takes time lets other threads run. Yields each with its complaint."""
    workers = max(1, min(os.cpu_count() or 1, len(jobs)))
    with _one_thread_each(workers > 1), ThreadPoolExecutor(workers) as pool:
        futures = {pool.submit(attempt, work, job): job for job in jobs}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:  # Ctrl-C: finish what is begun, begin nothing more
            pool.shutdown(cancel_futures=True)


def on_ray(work: Work, jobs: Sequence[Job]) -> Iterator[tuple[Job, str | None]]:
    """Do jobs on the Ray cluster that RAY_ADDRESS or this machine knows; its machines must see the same files."""
    try:
        import ray
    except ImportError:
        raise BatchError("--engine ray needs `pip install 'ranlen[ray]'`") from None
    try:
        if not ray.is_initialized():
            ray.init(address="auto", log_to_driver=False, logging_level=logging.ERROR)
    except ConnectionError:
        raise BatchError("no Ray cluster is running; start one with `ray start --head` or set RAY_ADDRESS") from None
    task, shared = ray.remote(attempt), ray.put(work)  # the network travels once
    running = {task.remote(shared, job): job for job in jobs}
    while running:
        (done,), _ = ray.wait(list(running))
        try:
            complaint = ray.get(done)
        except ray.exceptions.RayError as error:  # a worker died
            complaint = str(error).splitlines()[0]
        yield running.pop(done), complaint


ENGINES = {"local": on_threads, "ray": on_ray}


def attempt(work: Work, job: Job) -> str | None:
    """Do a job; what is wrong with it, in one line, if something is."""
    try:
        work(job)
    except (ValueError, OSError, MemoryError) as error:
        return str(error).splitlines()[0] if str(error) else "not enough memory"
    return None


def follow(results: Iterator[tuple[Job, str | None]], count: int, screen: TextIO) -> list[tuple[Job, str]]:
    """Draw a progress bar until all results are in; those that failed, in the order of their names."""
    failed = []
    started = time.monotonic()
    for done, (job, complaint) in enumerate(results, 1):
        if complaint is not None:
            failed.append((job, complaint))
        if screen.isatty():
            bar = "#" * (30 * done // count)
            left = (time.monotonic() - started) / done * (count - done)
            text = f"\r[{bar:.<30}] {done} of {count}, {len(failed)} failed, {left:.0f} s left "
            screen.write(text + ("\n" if done == count else ""))
            screen.flush()
    return sorted(failed, key=lambda each: each[0].photo)


@contextmanager
def _one_thread_each(many: bool) -> Iterator[None]:
    """Keep libraries from starting threads of their own where every core has a photo to do."""
    import cv2

    before, torch = cv2.getNumThreads(), sys.modules.get("torch")  # which is there if a network runs in it
    threads = torch.get_num_threads() if torch else 1
    if many:
        cv2.setNumThreads(1)
        if torch:
            torch.set_num_threads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
        if torch:
            torch.set_num_threads(threads)
