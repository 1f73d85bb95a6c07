"""Run the notebook and keep what comes out, in it and as the figures of the docs: `python -m demo.make_notebook`."""

from __future__ import annotations

import base64
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from ranlen.io.files import write_atomically

NOTEBOOK = Path(__file__).parent / "ranlen.ipynb"
NOISE = ("stderr",)  # progress bars
FIGURES = Path(__file__).parent.parent / "docs" / "figures"
SHOWN = {2: "areas", 4: "modulation", 5: "light", 6: "degree", 7: "methods"}  # by cell


def run(path: Path) -> nbformat.NotebookNode:
    """Execute a notebook as a reader would, from its own folder; what its cells show, without bars and times."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=1800, resources={"metadata": {"path": str(path.parent)}}).execute()
    for cell in notebook.cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") not in NOISE]
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return notebook


def keep_figures(notebook: nbformat.NotebookNode) -> None:
    """Write the pictures that the docs show."""
    FIGURES.mkdir(exist_ok=True)
    for cell, name in SHOWN.items():
        pictures = [output.data["image/jpeg"] for output in notebook.cells[cell].outputs if "data" in output]
        write_atomically(FIGURES / f"{name}.jpg", base64.b64decode(pictures[0]))


def main() -> None:
    """Run, and write."""
    notebook = run(NOTEBOOK)
    write_atomically(NOTEBOOK, (nbformat.writes(notebook) + "\n").encode())
    keep_figures(notebook)


if __name__ == "__main__":
    main()
