"""Run every documented command as written: `make docs-check`. From clean environments, so it takes about 20 minutes.

In the checkout: the site, and the tests that run the documents' Python, the API's examples, the notebook and the Space.
In an empty environment: the wheel, and the README's commands. In another: the Space's requirements and `python app.py`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
PYTHON = sys.executable
# What stands in the documents for something of the reader's, and what is put there.
STAND_INS = {
    "photo.jpg": "demo/examples/astronaut.jpg",
    "900,700,300": "225,150,120",
    "900,700": "225,150",
    "*.jpg": "demo/examples/a*.jpg",
}
NOT_HERE = ("make ", "--engine", "pip install", "python -m train", "--model runs")
TESTED = ("docs", "readme", "notebook", "space")
SERVE = """
import sys; sys.path.append(sys.argv[1])
from pathlib import Path
from tests.serving import started
with started(Path(".")) as url: print(url)
"""


def blocks(page: Path) -> list[str]:
    """Commands of a page; what stands under a comment "not run here" is for the reader."""
    return re.findall(r"(?<!-->\n)```sh\n(.*?)```", page.read_text(), re.DOTALL)


def run(what: str, command: list[str] | str, folder: Path, **environment: str) -> None:
    """Run one command and say how it went; the first that fails ends everything."""
    started = time.monotonic()
    shell = isinstance(command, str)
    clean = {
        key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "RANLEN_WEIGHTS", "VIRTUAL_ENV")
    }
    done = subprocess.run(
        command, cwd=folder, env=clean | environment, shell=shell, capture_output=True, text=True,
        executable="/bin/bash" if shell else None,
    )  # fmt: skip
    print(f"{'ok ' if done.returncode == 0 else 'NOT'} {time.monotonic() - started:6.0f} s  {what}", flush=True)
    if done.returncode:
        sys.exit(f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}")


def documented() -> list[str]:
    """The `ranlen` commands of the README, with the stand-ins in."""
    lines = [line.split("#")[0].strip() for block in blocks(ROOT / "README.md") for line in block.splitlines()]
    commands = [line for line in lines if line.startswith("ranlen ") and not any(no in line for no in NOT_HERE)]
    for theirs, ours in STAND_INS.items():
        commands = [re.sub(rf"(?<![\w*]){re.escape(theirs)}", ours, command) for command in commands]
    return sorted(commands, key=lambda command: "segment" not in command)  # it makes the mask that others take


def environment(folder: Path) -> str:
    """A new, empty environment; its python."""
    run(f"python -m venv {folder.name}", [PYTHON, "-m", "venv", str(folder)], ROOT)
    return str(folder / "bin" / "python")


def sizes(wheel: Path) -> tuple[int, int]:
    """Bytes of code and of published weights in a wheel, as they lie in it."""
    with zipfile.ZipFile(wheel) as archive:
        parts = [(item.filename.startswith("ranlen/published/"), item.compress_size) for item in archive.infolist()]
    return sum(size for shipped, size in parts if not shipped), sum(size for shipped, size in parts if shipped)


def main() -> None:
    """All of it."""
    with tempfile.TemporaryDirectory() as place:
        work = Path(place)
        run("the site (mkdocs build --strict)", [PYTHON, "-m", "mkdocs", "build", "--strict", "-q"], ROOT)
        tests = [f"tests/test_{name}.py" for name in TESTED]
        run("the documents' Python, API and MCP; the notebook; the Space", [PYTHON, "-m", "pytest", *tests], ROOT)

        run("wheel", [PYTHON, "-m", "build", "--wheel", "--outdir", place, str(ROOT)], ROOT)
        (wheel,) = work.glob("*.whl")
        code, weights = sizes(wheel)
        print(f"    the wheel: {code / 1e3:.0f} KB of code, {weights / 1e6:.1f} MB of weights")
        assert code < 200e3
        python = environment(work / "empty")
        run("pip install WHEEL", [python, "-m", "pip", "install", "-q", str(wheel)], work)
        missing = "import importlib.util; assert not importlib.util.find_spec('gradio')"
        run("no gradio came with it", [python, "-c", missing], work)
        shutil.copytree(ROOT / "demo" / "examples", work / "demo" / "examples")
        (work / "masks").mkdir()
        for command in documented():
            run(command, command, work, PATH=f"{Path(python).parent}:{os.environ['PATH']}")
            if command.startswith("ranlen segment"):
                shutil.copy(work / "subject.png", work / "masks" / "astronaut.png")

        space = work / "space"
        run("make space", [PYTHON, "-m", "demo.make_space", str(space)], ROOT)
        python = environment(work / "clean")
        run("pip install -r requirements.txt", [python, "-m", "pip", "install", "-q", "-r", "requirements.txt"], space)
        run("the Space: python app.py", [python, "-c", SERVE, str(ROOT)], space)


if __name__ == "__main__":
    main()
