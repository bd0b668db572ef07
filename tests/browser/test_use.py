"""A person looks at a run: time, voxels, series, maps, keys."""

import csv

import numpy as np
import pytest

pytestmark = pytest.mark.browser

RIGHT, LEFT, UP, END, ENTER, TAB = "\ue014", "\ue012", "\ue013", "\ue010", "\ue007", "\ue004"


def settled(page, t):
    page.wait(f"lazyvoxView.state().t === {t} && lazyvoxView.state().isSettled")


def test_slider_shows_the_last_place_and_none_that_is_stale(page, run):
    page.run(
        "window.seen = []; const value = document.getElementById('volume-number');"
        "new MutationObserver(() => 0); const slider = arguments[0];"
        "for (let n = 1; n < 30; n++) {"
        "  slider.value = n; slider.dispatchEvent(new Event('input', {bubbles: true})); }",
        page.find("timeline"),
    )
    settled(page, 29)
    voxel = tuple(page.state["voxel"])
    assert page.state["value"] == run.values[(*voxel, 29)]
    assert page.find("volume-number").get_property("value") == "29"
    assert page.find("timeline").get_attribute("aria-valuetext") == "Volume 29 of 40, 58.0 s"


def test_click_gives_the_series_of_voxel_and_region(page, run):
    page.click_plane("coronal", 0.3, 0.55)
    page.wait("lazyvoxView.state().series")
    series = page.state["series"]
    voxel = tuple(page.state["voxel"])
    assert tuple(series["voxel"]) == voxel
    np.testing.assert_array_equal(np.float32(series["value"]), run.values[voxel])
    label = run.labels[voxel]
    assert label
    expected = run.values[run.labels == label].mean(axis=0)
    np.testing.assert_allclose(series["region"]["value"], expected, rtol=1e-5)
    assert page.find("series-plot").find_element("tag name", "canvas").size["height"] > 100
    legend = page.run("return document.getElementById('series-legend').innerText")
    assert "face" in legend
    assert "house" in legend
    page.wait("document.querySelectorAll('#quality .measure').length === 3")
    assert page.run("return document.querySelector('#carpet img').naturalWidth") == 40


def test_export_is_the_table_of_the_series(page, run, browser, tmp_path):
    behavior = {"behavior": "allow", "downloadPath": str(tmp_path)}
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", behavior)
    page.press(ENTER)
    page.wait("lazyvoxView.state().series")
    link = page.find("export-tsv")
    assert link.is_displayed()
    link.click()
    page.wait("true")
    voxel = tuple(page.state["voxel"])
    (table,) = until(lambda: list(tmp_path.glob("*.tsv")))
    rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines(), delimiter="\t"))
    np.testing.assert_allclose([float(row["voxel"]) for row in rows], run.values[voxel], rtol=1e-6)
    assert [float(row["time"]) for row in rows] == [2.0 * t for t in range(40)]


def until(call):
    """Return what a call returns, once it is true."""
    import time

    end = time.monotonic() + 60
    while not (found := call()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return found


def test_clicks_on_plots_move_in_time(page):
    from selenium.webdriver.common.action_chains import ActionChains

    page.show(9)
    page.press(ENTER)
    page.wait("lazyvoxView.state().series && document.querySelector('#carpet img').naturalWidth")
    page.find("percent").click()
    marks = "return [...document.querySelectorAll('.time-mark')].map((one) => one.getBoundingClientRect().x)"
    places = page.run(marks)
    assert len(places) == 5
    assert max(places) - min(places) < 1.5
    over = page.find("series-plot").find_element("css selector", ".u-over")
    page.run("arguments[0].scrollIntoView({block: 'center'})", over)
    ActionChains(page.browser).move_to_element(over).click().perform()
    page.wait("Math.abs(lazyvoxView.state().t - 20) <= 1 && lazyvoxView.state().isSettled")
    carpet = page.find("carpet").find_element("tag name", "img")
    page.run("arguments[0].scrollIntoView({block: 'center'})", carpet)
    width = carpet.size["width"]
    ActionChains(page.browser).move_to_element_with_offset(carpet, width // 4, 0).click().perform()
    page.wait("Math.abs(lazyvoxView.state().t - 30) <= 1 && lazyvoxView.state().isSettled")


def test_play_goes_on_until_it_is_paused(page):
    play = page.find("play")
    assert play.accessible_name == "Play"
    page.set("speed", "20")
    play.click()
    page.wait("lazyvoxView.state().t >= 3")
    assert play.accessible_name == "Pause"
    play.click()
    page.wait("lazyvoxView.state().isSettled")
    assert play.get_attribute("aria-pressed") == "false"
    # Two frames later it is still there.
    t = page.state["t"]
    page.browser.execute_async_script("requestAnimationFrame(() => setTimeout(arguments[0], 250))")
    assert page.state["t"] == t


def test_keys_alone_are_enough(page, run):
    page.press(RIGHT, RIGHT)
    settled(page, 2)
    page.press(LEFT)
    settled(page, 1)
    page.press(END)
    settled(page, 39)
    voxel = page.state["voxel"]
    page.press("3", UP)
    assert page.state["voxel"] == [voxel[0], voxel[1], voxel[2] + 1]
    page.press("1", UP)
    assert page.state["voxel"] == [voxel[0] + 1, voxel[1], voxel[2] + 1]
    page.press("2", UP)
    assert page.state["voxel"] == [voxel[0] + 1, voxel[1] + 1, voxel[2] + 1]
    page.press(ENTER)
    page.wait("lazyvoxView.state().series")
    page.press("c")
    page.wait("lazyvoxView.state().overlays.length === 2")
    page.press(" ")
    page.wait("lazyvoxView.state().t !== 39")
    page.press(" ")
    page.press("?")
    page.wait("document.getElementById('help').open")
    page.press("\ue00c")
    page.wait("!document.getElementById('help').open")
    reached = set()
    for _ in range(60):
        page.press(TAB)
        reached.add(
            page.run("return document.activeElement.id || document.activeElement.dataset.testid")
        )
        ring = "return getComputedStyle(document.activeElement).outlineStyle"
        assert page.run(ring) != "none" or page.run(
            "return document.activeElement === document.body"
        )
    assert reached >= {"planes", "play", "timeline", "voxel-i", "colormap", "window-low"}
    assert reached >= {
        "overlay-threshold",
        "overlay-opacity",
        "correlate",
        "export",
        "shown-image",
    }


def test_wheel_and_right_button(page):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.actions.wheel_input import ScrollOrigin

    page.click_plane("axial", 0.5, 0.5)
    k = page.state["voxel"][2]
    planes = page.find("planes")
    (tile,) = (one for one in page.state["planes"] if one["plane"] == "axial")
    x = round(tile["left"] + tile["width"] / 2 - planes.size["width"] / 2)
    origin = ScrollOrigin.from_element(planes, x, 0)
    ActionChains(page.browser).scroll_from_origin(origin, 0, 100).perform()
    page.wait(f"lazyvoxView.state().voxel[2] === {k - 1}")
    window = page.state["window"]
    page.run(
        "const one = arguments[0]; const [x, y] = [600, 200];"
        "const send = (type, x) => one.dispatchEvent(new PointerEvent(type,"
        "  {pointerId: 1, button: 2, buttons: 2, clientX: x, clientY: y, bubbles: true}));"
        "one.setPointerCapture = () => 0; send('pointerdown', 600); send('pointermove', 700); send('pointerup', 700);",
        planes,
    )
    low, high = page.state["window"]
    assert high - low > 1.1 * (window[1] - window[0])


def tile_of(page, plane):
    """Return where a plane is, from the corner of the window."""
    (tile,) = (one for one in page.state["planes"] if one["plane"] == plane)
    frame = page.run(
        "const {x, y} = document.getElementById('slices').getBoundingClientRect(); return [x, y]"
    )
    return {**tile, "left": tile["left"] + frame[0], "top": tile["top"] + frame[1]}


def turn_wheel(page, x, y, pixels):
    """Turn the wheel with Ctrl at a place of the window."""
    page.browser.execute_cdp_cmd(
        "Input.dispatchMouseEvent",
        {"type": "mouseWheel", "x": x, "y": y, "deltaX": 0, "deltaY": pixels, "modifiers": 2},
    )


def drag(page, start, by, *, button="left", modifiers=0):
    """Press a button at a place of the window, move, release."""
    both = {"button": button, "clickCount": 1, "modifiers": modifiers}
    steps = (
        ("mousePressed", (0, 0)),
        ("mouseMoved", (by[0] / 2, by[1] / 2)),
        ("mouseMoved", by),
        ("mouseReleased", by),
    )
    for kind, (dx, dy) in steps:
        place = {"type": kind, "x": start[0] + dx, "y": start[1] + dy, **both}
        page.browser.execute_cdp_cmd("Input.dispatchMouseEvent", place)


def test_zoom_and_pan_by_mouse(page):
    axial = tile_of(page, "axial")
    # Not between two voxels.
    x, y = axial["left"] + 0.725 * axial["width"], axial["top"] + 0.31 * axial["height"]
    hover = "document.getElementById('hover').textContent"
    drag(page, (x, y), (0, 0))
    voxel = page.state["voxel"]
    for _ in range(3):
        turn_wheel(page, x, y, -100)
    page.wait("Math.abs(lazyvoxView.state().frame.zoom - 2 ** 1.5) < 1e-6")
    # The voxel that was under the pointer is there still.
    drag(page, (x, y), (0, 0))
    assert page.state["voxel"] == voxel
    assert page.text("zoom") == "283 %"
    # The pointer is still, and another voxel is under it.
    page.run("lazyvoxView.moveTo([2, 3, 9])")
    page.press("+", "+", "+")
    under = page.text("hover")
    drag(page, (x, y), (0, 0))
    assert under.startswith(", ".join(map(str, page.state["voxel"])))
    assert page.state["voxel"] != voxel
    page.press("0")
    drag(page, (x, y), (0, 0))
    for _ in range(3):
        turn_wheel(page, x, y, -100)
    page.wait("Math.abs(lazyvoxView.state().frame.zoom - 2 ** 1.5) < 1e-6")
    assert page.state["voxel"] == voxel
    before = tile_of(page, "axial")
    drag(page, (x, y), (-40, 25), button="middle")
    after = tile_of(page, "axial")
    assert after["x"] - before["x"] == pytest.approx(-40, abs=1e-6)
    assert after["y"] - before["y"] == pytest.approx(25, abs=1e-6)
    assert page.state["voxel"] == voxel
    n_overlays = len(page.state["overlays"])
    drag(page, (x, y), (40, -25), modifiers=8)
    assert tile_of(page, "axial")["x"] == pytest.approx(before["x"], abs=1e-6)
    # A press with Shift that does not move is a click still.
    drag(page, (x, y), (0, 0), modifiers=8)
    page.wait(f"lazyvoxView.state().overlays.length === {n_overlays + 1}")
    assert ", ".join(map(str, voxel)) in page.run(f"return {hover}")
    # What is shown stays inside of the volume, and comes to the crosshair where that goes away.
    drag(page, (x, y), (2000, 2000), button="middle")
    centre = page.state["frame"]["centre"]
    assert centre[0] == pytest.approx(0.5 / 2**1.5)
    page.run("lazyvoxView.moveTo([17, 3, 9])")
    (inside,) = (one for one in page.state["planes"] if one["plane"] == "axial")
    assert inside["left"] <= inside["x"] <= inside["left"] + inside["width"]
    assert inside["top"] <= inside["y"] <= inside["top"] + inside["height"]
    page.press("0")
    assert page.state["frame"] == {"zoom": 1, "centre": [0.5, 0.5, 0.5]}
    page.find("zoom-in").click()
    page.wait("lazyvoxView.state().frame.zoom > 1.4")
    page.find("zoom-out").click()
    turn_wheel(page, x, y, 100)
    page.wait("lazyvoxView.state().frame.zoom === 1")


def test_two_fingers_zoom_and_move(page):
    page.resize((390, 844), is_phone=True)
    page.browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True})
    try:
        axial = tile_of(page, "axial")
        x, y = axial["left"] + axial["width"] / 2, axial["top"] + axial["height"] / 2

        def touch(kind, *places):
            points = [{"x": x + dx, "y": y + dy, "id": n} for n, (dx, dy) in enumerate(places)]
            page.browser.execute_cdp_cmd(
                "Input.dispatchTouchEvent", {"type": kind, "touchPoints": points}
            )

        voxel = page.state["voxel"]
        touch("touchStart", (-20, 0))
        assert page.state["voxel"] != voxel
        touch("touchStart", (-20, 0), (20, 0))
        touch("touchMove", (-40, 0), (40, 0))
        touch("touchMove", (-60, 10), (60, 10))
        page.wait("lazyvoxView.state().frame.zoom > 2.9")
        assert page.state["frame"]["zoom"] == pytest.approx(3)
        touch("touchEnd")
        assert page.run("return visualViewport.scale") == 1
        assert page.state["series"] is None
        assert page.state["voxel"] == voxel
        touch("touchStart", (-60, -30))
        touch("touchEnd")
        page.wait("lazyvoxView.state().series")
        assert page.state["series"]["voxel"] == page.state["voxel"] != voxel
    finally:
        page.browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})


def test_one_plane_alone(page):
    page.press("2", "z")
    page.wait("lazyvoxView.isLaidOut() && lazyvoxView.state().planes.length === 1")
    (tile,) = page.state["planes"]
    assert tile["plane"] == "coronal"
    assert tile["height"] > 600
    page.click_plane("coronal", 0.02, 0.99)
    assert page.state["voxel"] == [0, 12, 17]
    page.press("1")
    page.wait("lazyvoxView.state().planes[0].plane === 'sagittal'")
    page.press("z")
    page.wait("lazyvoxView.isLaidOut() && lazyvoxView.state().planes.length === 3")


def test_region_and_value_under_the_pointer(page, run):
    from selenium.webdriver.common.action_chains import ActionChains

    page.click_plane("axial", 0.8, 0.5)
    i, j, k = page.state["voxel"]
    assert page.text("region-name") == "<script>alert(1)</script>"
    assert page.text("crosshair-value") != ""
    assert page.text("hover").startswith(f"{i}, {j}, {k}")
    assert "<script>alert(1)</script>" in page.text("hover")
    ActionChains(page.browser).move_to_element(page.find("play")).perform()
    page.wait("document.getElementById('hover').textContent === ''")
    page.wait(
        "document.getElementById('spoken').textContent.includes('<script>alert(1)</script>')"
    )
    mm = (run.affine @ [i, j, k, 1])[:3]
    assert page.text("crosshair-mm") == ", ".join(f"{one:.1f}" for one in mm)


def test_numbers_that_are_typed(page):
    page.find("volume-number").send_keys("\ue009a\ue000", "17", ENTER)
    settled(page, 17)
    for name, number in zip("ijk", (7, 13, 10), strict=True):
        one = page.browser.find_element("id", f"voxel-{name}")
        one.clear()
        one.send_keys(str(number), ENTER)
    assert page.state["voxel"] == [7, 13, 10]


def test_a_constant_voxel_has_no_correlations(page):
    page.run("lazyvoxView.moveTo([0, 0, 0])")
    page.press("c")
    page.wait(
        "!document.getElementById('toast').hidden"
        " && document.getElementById('toast').classList.contains('fault')"
    )
    assert len(page.state["overlays"]) == 1
    # The answer is no success, which the console of the browser notes.
    assert all("correlation" in fault for fault in page.faults())
