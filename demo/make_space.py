"""Assemble a Hugging Face Space, ready to upload: `python -m demo.make_space [FOLDER] [--hardware zero]`."""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
ZERO_TORCH = "2.11.0"  # the newest that ZeroGPU takes
PARTS = ("app.py", "LICENSE", "ranlen", "demo", "weights")
LEFT_OUT = ("__pycache__", "*.pyc", "*.ipynb", "readme.jpg", "page.jpg", "page.gif", "make_*.py")
FOR_A_GPU = "mobile_sam.safetensors"  # which torch takes; a processor runs the graphs beside it
LIMIT = 60e6  # bytes, without a GPU
README = """---
title: RANLEN
emoji: 🔦
colorFrom: yellow
colorTo: indigo
sdk: gradio
sdk_version: {gradio}
python_version: "3.12"
app_file: app.py
license: mit
tags: [image-enhancement, low-light, local-editing]
short_description: Light the subject of a dark photo, and only it
---

# RANLEN

Open a dark photo, click who or what it is about, and light it, only it.
After Yao, Huang and Xu, "Local Low-light Image Enhancement via Region-Aware Normalization".

The code is MIT; the networks were trained on data for research, see `weights/README.md`.
"""


def requirements(hardware: str) -> str:
    """What the Space installs: what the page does, and torch where that is lent a GPU."""
    text = (ROOT / "requirements.txt").read_text()
    return f"{text}torch=={ZERO_TORCH}\n" if hardware == "zero" else text


def make_space(folder: Path, hardware: str = "cpu") -> int:
    """Write the Space into a new or empty folder, or over one that this wrote before; its size in bytes.

    Args:
        folder: where to. A repository in it (`.git`) stays.
        hardware: "cpu", or "zero" for ZeroGPU.

    Raises:
        ValueError: the folder holds something else.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / "app.py").exists():
        raise ValueError(f"{folder} is neither empty nor a Space; name another folder")
    folder.mkdir(parents=True, exist_ok=True)
    left_out = LEFT_OUT if hardware == "zero" else (*LEFT_OUT, FOR_A_GPU)
    for name in PARTS:
        source, target = ROOT / name, folder / name
        if source.is_dir():
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(source, target, ignore=shutil.ignore_patterns(*left_out))
        else:
            shutil.copy2(source, target)
    gradio = re.search(r"^gradio==(\d+\.\d+)", requirements(hardware), re.MULTILINE)
    assert gradio
    (folder / "README.md").write_text(README.format(gradio=f"{gradio[1]}.0"), encoding="utf-8")
    (folder / "requirements.txt").write_text(requirements(hardware))
    files = (path for path in folder.rglob("*") if path.is_file() and ".git" not in path.parts)
    return sum(path.stat().st_size for path in files)


def main(arguments: list[str] | None = None) -> int:
    """Read the command line; 2 for a folder that cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m demo.make_space", description="Assemble a Hugging Face Space.")
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / "build" / "space")
    parser.add_argument("--hardware", choices=("cpu", "zero"), default="cpu", help="zero: ZeroGPU [cpu]")
    options = parser.parse_args(arguments)
    try:
        size = make_space(options.folder, options.hardware)
    except (ValueError, OSError) as error:
        print(f"make_space: {error}", file=sys.stderr)
        return 2
    print(f"{options.folder}: {size / 1e6:.1f} MB, to be uploaded as it is (docs/space.md)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
