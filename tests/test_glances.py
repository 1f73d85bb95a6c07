"""What a click would select, asked before it is made: what is told, that nothing changes, who goes first."""

from __future__ import annotations

import anyio
import httpx
import numpy as np
import pytest

from benchmarks.visitor import CLICK, Visitor, photo_of, session
from demo import editing, glances, handlers, models, serialization, sessions
from ranlen.recipe import parse_recipe

SUBJECT = {"tool": "subject", "at": [0.5, 0.5]}


@pytest.fixture
def visitor(server, monkeypatch):
    """One whose segmenter, GrabCut, counts as quick."""
    monkeypatch.setattr(glances, "QUICK", ("grabcut",))
    visitor = Visitor(server)
    visitor.open(photo_of(1, 320), "a.png")
    sessions.VISITORS.owner(visitor.key).encoding.result.result(60)
    yield visitor
    visitor.close()


def ask(visitor, recipe, **body):
    return httpx.post(
        f"{visitor.url}/glance", json={"key": visitor.key, "recipe": recipe} | body, trust_env=False, timeout=60
    )


def test_it_is_what_the_click_then_marks_which_asks_nothing_any_more(visitor, monkeypatch):
    mine, grabcut = sessions.VISITORS.owner(visitor.key), models.segmenter()[0]
    told = ask(visitor, session([SUBJECT]))
    assert told.status_code == 200
    assert mine.answers == {}
    assert mine.masks.results == {}
    monkeypatch.setattr(grabcut, "segment", None)  # nobody is asked again
    hard = parse_recipe(session([SUBJECT])).subjects[0]
    core = editing.areas(mine, hard, grabcut).tensor[0]
    assert told.json()["size"] == list(core.shape[1:])
    exact = editing.glance(mine, hard, grabcut)
    assert told.json()["a"] == serialization.border(exact)
    assert (core[0] <= exact).all() or (exact <= core[1]).all()


def test_what_was_marked_before_is_in_it(visitor):
    drawn = {**CLICK, "at": [0.1, 0.1], "radius": 0.05}
    one, both = (ask(visitor, session(edits)).json()["a"] for edits in ([SUBJECT], [drawn, SUBJECT]))
    assert len(both) == len(one) + 1
    assert any(np.array(line).max() < 80 for line in both)


def test_a_click_that_is_made_goes_first(visitor):
    async def busy():
        async with handlers.AREAS:
            return await glances.glance(Asking())

    class Asking:
        async def body(self):
            return b"{}"

    assert anyio.run(busy).status_code == 204


def test_nobody_else_sees_it_and_what_makes_no_sense_is_told(visitor, monkeypatch):
    assert ask(visitor, session([SUBJECT]), key="x").status_code == 410
    assert ask(visitor, session([{"tool": "hack"}])).status_code == 422
    assert ask(visitor, session([{**SUBJECT, "add": False}])).json()["a"] == []  # no subject yet
    monkeypatch.setattr(glances, "QUICK", ())
    assert ask(visitor, session([SUBJECT])).status_code == 204
