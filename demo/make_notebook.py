"""Run the notebook and keep what comes out: `python -m demo.make_notebook [NOTEBOOK]`."""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from ranlen.files import write_atomically

NOTEBOOK = Path(__file__).parent / "ranlen.ipynb"
NOISE = ("stderr",)  # progress bars


def run(path: Path) -> nbformat.NotebookNode:
    """Execute a notebook as a reader would, from its own folder; what its cells show, without bars and times."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=1200, resources={"metadata": {"path": str(path.parent)}}).execute()
    for cell in notebook.cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") not in NOISE]
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return notebook


def main(arguments: list[str]) -> None:
    """Write the outputs into the file."""
    path = Path(arguments[0]) if arguments else NOTEBOOK
    write_atomically(path, (nbformat.writes(run(path)) + "\n").encode())


if __name__ == "__main__":
    main(sys.argv[1:])
