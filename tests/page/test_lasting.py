"""Nothing that a visitor did is lost: gaps in the network, a server that starts anew, a reload, Back, another photo."""

from __future__ import annotations

import json
import threading

import numpy as np
import pytest
from playwright.sync_api import expect

from demo import editing, handlers, models, sessions, ui
from ranlen.io import images
from ranlen.recipe import parse_recipe
from tests.browser import DESKTOP, EDITOR, IN_BROWSER, click, drag, exact, idle, pixels, place, save, shares, upload
from tests.serving import free_port

pytestmark = IN_BROWSER
DEGREE = "input[type=number][data-of=degree]"


def frame_of(photo, page):
    """The server's own picture of what the page says was done."""
    done = parse_recipe(page.evaluate(f"() => {EDITOR}.recipe()"))
    session = editing.open_photo(photo)
    lights = editing.lights_of(session, done, models.segmenter()[0], models.load)
    return editing.render_view(session, lights).pixels


def shows_its_frame(page, photo):
    idle(page)
    expected = frame_of(photo, page)
    assert (expected != images.read(photo).pixels).any()
    page.wait_for_timeout(300)
    for _ in range(100):
        if np.array_equal(pixels(page), expected):
            return
        page.wait_for_timeout(100)
    assert np.array_equal(pixels(page), expected)


def set_degree(page, value):
    page.fill(DEGREE, str(value))
    page.press(DEGREE, "Enter")


def kept(page):
    """What lies in the browser's own store."""
    page.wait_for_timeout(600)
    return page.evaluate(
        """() => new Promise((done) => { const request = indexedDB.open('ranlen', 1);
        request.onsuccess = () => { const all = request.result.transaction('works').objectStore('works').getAll();
        all.onsuccess = () => { request.result.close(); done(all.result.length); }; }; })"""
    )


def quiet(visit):
    """Take out what a browser says of a network that is gone."""
    visit.complaints[:] = [each for each in visit.complaints if "ERR_INTERNET_DISCONNECTED" not in each]


def test_what_is_done_in_a_gap_of_the_network_is_sent_after_it(visit, balls):
    page = visit()
    upload(page, balls)
    exact(page, lambda: click(page, 0.325, 0.5))
    page.context.set_offline(True)
    page.wait_for_selector("text=No connection to the server")
    drag(page, (0.6, 0.5), (0.75, 0.5), tool="brush", drop=False)
    page.mouse.up()
    set_degree(page, 1.6)
    assert page.is_hidden(".rl-toast")
    page.wait_for_timeout(1500)
    page.context.set_offline(False)
    expect(page.locator(".rl-state")).to_be_hidden(timeout=20_000)
    shows_its_frame(page, balls)
    assert "Area A" in shares(page)
    quiet(visit)


def test_an_answer_that_breaks_off_is_asked_again(visit, balls, monkeypatch):
    go, marks_of = threading.Event(), handlers.marks_of
    asked = []

    def slow(*given):
        asked.append(given)
        assert len(asked) > 1 or go.wait(60)
        return marks_of(*given)

    monkeypatch.setattr(handlers, "marks_of", slow)
    page = visit()
    upload(page, balls)
    page.click("[data-tool=circle]")
    page.mouse.click(*place(page, 0.325, 0.5))
    while not asked:
        page.wait_for_timeout(50)
    page.context.set_offline(True)
    page.wait_for_selector("text=No connection to the server")
    go.set()
    page.context.set_offline(False)
    shows_its_frame(page, balls)
    assert len(asked) == 2
    quiet(visit)


@pytest.mark.parametrize("way", ["reload", "back"])
def test_a_reload_and_back_bring_photo_recipe_and_history(visit, balls, way):
    page = visit()
    upload(page, balls)
    exact(page, lambda: click(page, 0.325, 0.5))
    set_degree(page, 1.5)
    drag(page, (0.6, 0.5), (0.75, 0.5), tool="brush")
    page.click("[data-act=undo]:visible")
    shows_its_frame(page, balls)
    before, recipe = pixels(page), page.evaluate(f"() => {EDITOR}.recipe()")
    sent = []
    page.on("request", lambda request: sent.append(request.url))
    if way == "reload":
        page.reload()
    else:
        page.goto("about:blank")
        page.go_back()
    page.wait_for_selector(".rl-there")
    assert page.inner_text(".rl-name").startswith("balls.png")
    assert page.evaluate(f"() => {EDITOR}.recipe()") == recipe
    shows_its_frame(page, balls)
    assert np.array_equal(pixels(page), before)
    assert not any(url.endswith("/upload") for url in sent)  # the same server still has it
    page.click("[data-act=redo]:visible")
    shows_its_frame(page, balls)
    assert not np.array_equal(pixels(page), before)
    for _ in range(3):
        page.click("[data-act=undo]:visible")
    assert page.evaluate(f"() => {EDITOR}.recipe().subjects[0].edits") == []
    assert page.is_disabled("[data-act=undo]:visible")


@pytest.fixture
def restarted(weights_folder, tmp_path, monkeypatch):
    """A server of one's own: each call ends it and starts it anew, at the same address and with nothing remembered."""
    monkeypatch.setenv("RANLEN_WEIGHTS", str(weights_folder))
    port, pages = free_port(), []

    def start():
        stop()
        monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / str(len(pages))))
        monkeypatch.setattr(sessions, "VISITORS", sessions.Visitors(60))
        page = ui.build()
        pages.append(page)
        return page.launch(server_port=port, prevent_thread_lock=True, quiet=True, **ui.LAUNCH)[1]

    def stop():
        for page in pages[-1:]:
            page.close(verbose=False)

    start.stop = stop
    yield start
    stop()


def test_a_server_that_starts_anew_gets_the_photo_again(browser, restarted, balls):
    page = browser.new_context(viewport=DESKTOP, accept_downloads=True).new_page()
    page.goto(restarted())
    page.wait_for_selector(".rl-there")
    upload(page, balls)
    exact(page, lambda: click(page, 0.325, 0.5))
    restarted.stop()
    page.wait_for_selector("text=No connection to the server")
    drag(page, (0.6, 0.5), (0.75, 0.5), tool="brush", drop=False)
    page.mouse.up()
    set_degree(page, 1.4)
    restarted()
    expect(page.locator(".rl-state")).to_be_hidden(timeout=20_000)
    shows_its_frame(page, balls)
    assert page.is_hidden(".rl-toast")
    lit = pixels(page)
    restarted()  # in between nothing is asked
    assert np.array_equal(images.read(save(page).path()).pixels, lit)
    page.click("[data-view=compare]")
    restarted()
    page.click("[data-view=select]")
    page.reload()
    page.wait_for_selector(".rl-there")
    shows_its_frame(page, balls)
    assert np.array_equal(pixels(page), lit)
    page.context.close()


def test_another_photo_is_asked_about_before_work_goes(visit, balls, photo):
    page = visit(accept_downloads=True)
    upload(page, balls)
    page.set_input_files("#photo", photo)  # nothing is marked: nothing is asked
    page.wait_for_selector(".rl-name:has-text('evening.png')")
    click(page)
    done = page.evaluate(f"() => {EDITOR}.recipe()")
    page.set_input_files("#photo", balls)
    page.click(".rl-ask >> text=Stay")
    assert page.evaluate(f"() => {EDITOR}.recipe()") == done
    page.click("summary")
    page.select_option("#rl-format", "tiff16")
    assert kept(page) == 1
    page.reload()
    page.wait_for_selector(".rl-there")
    page.set_input_files("#photo", balls)
    page.wait_for_selector("text=What you did to evening.png is not saved")
    with page.expect_download() as download:
        page.click(".rl-ask >> text=Save first")
    assert download.value.suggested_filename == "evening_ranlen.tif"  # as was chosen, also before the page was loaded
    page.wait_for_selector(".rl-name:has-text('balls.png')")
    click(page)
    save(page)
    page.set_input_files("#photo", photo)  # saved: nothing is asked
    page.wait_for_selector(".rl-name:has-text('evening.png')")


def test_starting_over_can_be_undone_and_closing_forgets(visit, balls):
    page = visit()
    upload(page, balls)
    click(page, 0.325, 0.5)
    done = page.evaluate(f"() => {EDITOR}.recipe()")
    page.click("summary")
    page.click("[data-act=startover]")
    assert page.evaluate(f"() => {EDITOR}.recipe().subjects[0].edits") == []
    page.click("[data-act=undo]:visible")
    assert page.evaluate(f"() => {EDITOR}.recipe()") == done
    assert kept(page) == 1
    page.click("[data-act=close]")
    page.click(".rl-ask >> text=Go on without saving")
    page.wait_for_selector(".rl-empty:visible")
    assert kept(page) == 0
    page.reload()
    page.wait_for_selector(".rl-there")
    page.wait_for_selector(".rl-empty:visible")
    upload(page, balls)
    click(page, 0.325, 0.5)
    assert "Area A" in shares(page)


@pytest.mark.parametrize(
    ("without", "said"),
    [
        ("Object.defineProperty(window, 'indexedDB', { get() { throw new Error('private'); } });",
         "it keeps nothing, as in a private window"),
        ("const put = IDBObjectStore.prototype.put; IDBObjectStore.prototype.put = function (...given) {"
         " if (this.name === 'photos') throw new DOMException('full', 'QuotaExceededError');"
         " return put.apply(this, given); };",
         "it has no room for this photo"),
    ],
)  # fmt: skip
def test_a_browser_that_keeps_nothing_says_so_and_the_page_works_on(visit, balls, without, said):
    page = visit()
    page.add_init_script(without)
    page.reload()
    page.wait_for_selector(".rl-there")
    upload(page, balls)
    page.wait_for_selector(f"text={said}")
    click(page, 0.325, 0.5)
    shows_its_frame(page, balls)
    asked = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    page.reload()  # what would be lost is asked about
    assert asked == ["beforeunload"]


def test_a_tab_that_was_duplicated_goes_its_own_way(visit, balls):
    page = visit()
    upload(page, balls)
    click(page, 0.325, 0.5)
    assert kept(page) == 1
    with page.expect_popup() as popup:
        page.evaluate("() => { window.open(location.href); }")
    other = popup.value
    other.wait_for_selector(".rl-there")
    shows_its_frame(other, balls)
    set_degree(other, 1.9)
    shows_its_frame(other, balls)
    assert kept(page) == 2
    page.reload()
    page.wait_for_selector(".rl-there")
    assert json.loads(json.dumps(page.evaluate(f"() => {EDITOR}.recipe().subjects[0].degree"))) == 1
    shows_its_frame(page, balls)


def test_what_a_page_of_before_kept_is_read_in_the_words_of_now(visit, balls):
    page = visit()
    upload(page, balls)
    click(page, 0.325, 0.5)
    address = page.url
    page.goto("about:blank")
    other = page.context.new_page()
    other.goto(address)
    other.evaluate(
        """() => new Promise((done) => { const request = indexedDB.open('ranlen', 1);
        request.onsuccess = () => {
          const works = request.result.transaction('works', 'readwrite').objectStore('works');
          works.openCursor().onsuccess = ({ target: { result } }) => {
            const edits = [{ tool: 'click', at: [0.325, 0.5], radius: 0.2, add: true }];
            const subjects = [{ id: 1, edits, degree: 1.5, transition: 0.2, grow: 'in' }];
            result.update({ ...result.value, recipe: { ranlen: 1, backbone: 'deepupe', subjects } });
            works.transaction.oncomplete = () => { request.result.close(); done(); };
          }; }; })"""
    )
    page.go_back()
    page.wait_for_selector(".rl-there")
    (subject,) = page.evaluate(f"() => {EDITOR}.recipe().subjects")
    assert (subject["degree"], subject["feather"], subject["feather_side"]) == (1.5, 0.2, "in")
    shows_its_frame(page, balls)
