"""The page on a phone, as a real browser emulates one."""

from __future__ import annotations

import pytest

from tests.browser import IN_BROWSER, PHONE, click, exact, idle, pixels, place, shares, upload

pytestmark = IN_BROWSER


def reach(button):
    """How high the part of a button is that answers; a round ? reaches beyond its border."""
    around = button.evaluate("e => -parseFloat(getComputedStyle(e, '::after').top) || 0")
    return button.bounding_box()["height"] + 2 * around


def test_on_a_phone_a_tap_lights_the_subject(visit, photo):
    page = visit(**PHONE)
    upload(page, photo)
    before = pixels(page)
    exact(page, lambda: page.touchscreen.tap(*place(page, 0.5, 0.5)))
    assert (pixels(page) != before).any()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("[scrollTo(0, 500), scrollY][1]") == 0  # nothing is out of reach
    for button in page.query_selector_all(".rl-app button:visible"):
        box = button.bounding_box()
        assert box["height"] >= 44, button.inner_text()
        assert box["x"] >= 0, button.inner_text()
        assert box["x"] + box["width"] <= 390.5, button.inner_text()
    page.tap(".rl-sheetbutton")
    for button in page.query_selector_all(".rl-rest button:visible"):
        assert reach(button) >= 44, button.inner_text()
    page.tap("[data-preset=spotlight]")
    idle(page)
    assert page.input_value("input[type=number][data-of=degree]") == "1.3"


def test_two_fingers_zoom_and_draw_nothing(visit, photo):
    page = visit(**PHONE)
    upload(page, photo)
    session = page.context.new_cdp_session(page)
    (x, y), apart = place(page, 0.5, 0.5), 30

    def touch(kind, *points):
        session.send(
            "Input.dispatchTouchEvent",
            {"type": kind, "touchPoints": [{"x": a, "y": y, "id": i} for i, a in enumerate(points)]},
        )

    touch("touchStart", x - apart)
    touch("touchStart", x - apart, x + apart)
    for step in range(1, 6):
        touch("touchMove", x - apart - 10 * step, x + apart + 10 * step)
    touch("touchEnd")
    page.wait_for_timeout(200)
    assert place(page, 1, 0.5)[0] - place(page, 0, 0.5)[0] > 1.5 * 374
    idle(page)
    assert shares(page) == ""


def test_with_a_mouse_every_button_can_be_hit(visit, photo):
    page = visit()
    upload(page, photo)
    page.click("summary")
    buttons = page.query_selector_all(".rl-app button:visible")
    assert len(buttons) > 40
    for button in buttons:
        assert reach(button) >= 36, button.get_attribute("aria-label") or button.inner_text()


@pytest.mark.parametrize("options", [PHONE, {"viewport": {"width": 320, "height": 640}}, {}])
def test_a_message_stands_over_no_button(visit, photo, tmp_path, options):
    page = visit(**options)
    upload(page, photo)
    page.click("[data-tool=brush]")
    (tmp_path / "fake.png").write_bytes(b"this is no photo")
    page.set_input_files("#photo", tmp_path / "fake.png")
    page.wait_for_selector(".rl-toast:visible")
    covered = page.evaluate(
        """() => {
        const [one, ...others] = [document.querySelector('.rl-toast'), ...document.querySelectorAll('button, input')]
          .map((each) => [each, each.getBoundingClientRect()]);
        const meets = (a, b) => b.width && a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
        return others.filter(([, box]) => meets(one[1], box)).map(([each]) => each.outerHTML.slice(0, 80)); }"""
    )
    assert covered == []


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"has_touch": True, "is_mobile": True},
        {"viewport": {"width": 1024, "height": 768}},
        {"viewport": {"width": 1024, "height": 768}, "has_touch": True, "is_mobile": True},
        PHONE,
        PHONE | {"viewport": {"width": 320, "height": 640}},
    ],
)
def test_no_row_of_the_panel_is_wider_than_the_panel(visit, photo, options):
    page = visit(**options)
    upload(page, photo)
    click(page)
    if page.is_visible(".rl-sheetbutton"):
        page.click(".rl-sheetbutton")
    for name, value in (("degree", "1.85"), ("denoise", "55")):
        page.fill(f"input[type=number][data-of={name}]", value)
        page.keyboard.press("Enter")
        idle(page)
    page.click("summary")
    spilling = """rows => rows.filter((row) => row.offsetParent && [...row.children].some((each) =>
        each.getBoundingClientRect().right > row.getBoundingClientRect().right + 0.5)).map((row) => row.innerText)"""
    assert page.eval_on_selector_all(".rl-panel :is(.rl-row, .rl-segments, .rl-grid, .rl-chips)", spilling) == []
    assert page.locator("[data-act=auto]").is_enabled()
    assert page.locator("[data-act=autodenoise]").is_visible()
