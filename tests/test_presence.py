"""Who has the page open: signs of life, and that a visitor has left when the last of their requests has ended."""

from __future__ import annotations

import asyncio
import types

import pytest

from demo import assets, presence, sessions


@pytest.fixture
def left(monkeypatch):
    names = []
    leave = types.SimpleNamespace(leave=lambda request: names.append(request.session_hash))
    monkeypatch.setattr(sessions, "VISITORS", leave)
    return names


def asked(stop, version=assets.VERSION):
    path = {"session": "somebody", "version": version}
    return presence.here(types.SimpleNamespace(path_params=path, app=types.SimpleNamespace(stop_event=stop)))


def test_who_came_back_before_the_old_request_ended_has_not_left(left):
    async def visit():
        before, after = [(await asked(asyncio.Event())).body_iterator for _ in range(2)]
        assert [await anext(each) for each in (before, after)] == ["here\n", "here\n"]
        await before.aclose()
        await asyncio.sleep(0.1)
        assert left == []
        await after.aclose()
        await asyncio.sleep(0.1)

    asyncio.run(visit())
    assert left == ["somebody"]
    assert not presence.HERE


def test_a_server_that_ends_lets_go_at_once(left):
    async def visit():
        stop = asyncio.Event()
        signs = (await asked(stop)).body_iterator
        await anext(signs)
        stop.set()
        assert [each async for each in signs] == []

    asyncio.run(asyncio.wait_for(visit(), 5))


def test_the_page_of_another_version_is_told(left):
    async def visit():
        return await asked(asyncio.Event(), "of before")

    assert asyncio.run(visit()).status_code == 404
