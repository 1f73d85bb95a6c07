"""The notebook runs from the first cell to the last, and what it shows in the repo is what it gives."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parent.parent
NOTEBOOK = ROOT / "demo" / "ranlen.ipynb"


def shown(notebook):
    """What each cell shows up to the training, which the test shortens: kinds of output, and text."""
    outputs = [cell.get("outputs", []) for cell in notebook.cells[:8]]
    kinds = [[sorted(output.get("data", [output.get("name")])) for output in cell] for cell in outputs]
    return kinds, [output.text for cell in outputs for output in cell if "text" in output]


@pytest.mark.slow
def test_it_runs_and_shows_what_it_shows_in_the_repo(tmp_path, monkeypatch):
    pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    from demo import make_notebook

    monkeypatch.setenv("RANLEN_NOTEBOOK_EPOCHS", "1")
    monkeypatch.delenv("RANLEN_WEIGHTS", raising=False)
    kept, ran = nbformat.read(NOTEBOOK, 4), make_notebook.run(NOTEBOOK)
    assert shown(kept) == shown(ran)


def test_it_is_ten_cells_and_small():
    notebook = nbformat.read(NOTEBOOK, 4)
    assert len(notebook.cells) == 10
    assert NOTEBOOK.stat().st_size < 600_000
    assert "colab.research.google.com" in notebook.cells[0].source
    shows = [output.output_type for cell in notebook.cells for output in cell.get("outputs", [])]
    assert len(shows) >= 8
    assert "error" not in shows
