"""Pixels on the screen are the values of the arrays through the colour maps."""

import nibabel
import numpy as np
import pytest

import lazyvox as lv

pytestmark = pytest.mark.browser

#: Axes of the canonical image across and up in each plane, and the one that it cuts.
AXES = {"sagittal": (1, 2, 0), "coronal": (0, 2, 1), "axial": (0, 1, 2)}


def through(colors, values, window):
    """Return the colours of values: nearest of 256 steps."""
    low, high = window
    steps = np.clip(np.floor((values - low) * 255 / (high - low) + 0.5), 0, 255)
    return np.reshape(colors, (256, 4))[steps.astype(int), :3]


def canonical(values, affine):
    """Return values with axes to the right, the front and the top, and their affine."""
    img = nibabel.as_closest_canonical(nibabel.Nifti1Image(values, affine))
    return np.asarray(img.dataobj), img.affine


def seen(page, values, affine, plane, *, is_mirrored=False):
    """Return pixels in the middle of all voxels of a plane that are not 0, and their values."""
    state, picture = page.state, page.picture()
    drawn, drawn_affine = canonical(values, affine)
    (tile,) = (one for one in state["planes"] if one["plane"] == plane)
    across, up, through_axis = AXES[plane]
    at = np.linalg.inv(drawn_affine) @ affine @ [*state["voxel"], 1]
    index = [slice(None)] * 3
    index[through_axis] = round(at[through_axis])
    cut = drawn[tuple(index)]
    nx, ny = cut.shape
    assert (nx, ny) == (drawn.shape[across], drawn.shape[up])
    x, y = np.nonzero(cut)
    frame = state["frame"]
    shares = [
        0.5 + ((n + 0.5) / length - frame["centre"][axis]) * frame["zoom"]
        for n, length, axis in ((x, nx, across), (y, ny, up))
    ]
    # The letters of the sides lie over a plane that fills its place.
    margin = 22 / min(tile["width"], tile["height"]) if frame["zoom"] > 1 else 0
    is_seen = np.all([(margin < one) & (one < 1 - margin) for one in shares], axis=0)
    share, height = (one[is_seen] for one in shares)
    columns = tile["left"] + (1 - share if is_mirrored else share) * tile["width"]
    rows = tile["top"] + (1 - height) * tile["height"]
    pixels = picture[np.floor(rows).astype(int), np.floor(columns).astype(int)]
    return pixels, cut[x[is_seen], y[is_seen]]


def assert_shown(page, values, affine, colors="gray", n_least=50, **how):
    """Compare all three planes with the values."""
    lut = page.run("return lazyvoxView.colormap(arguments[0])", colors)
    for plane in AXES:
        pixels, expected = seen(page, values, affine, plane, **how)
        assert len(expected) > n_least
        wanted = through(lut, expected, page.state["window"])
        assert np.abs(pixels.astype(int) - wanted).max() <= 1, plane


def plain(page):
    """Hide all that lies over the image."""
    page.press("x", "o")
    if page.state["overlays"]:
        page.find("overlay-shown").click()


@pytest.mark.parametrize("orientation", ["RAS", "LAS", "oblique", "PSR"])
def test_volumes_and_voxels(open_page, written, tmp_path, orientation):
    run = written(tmp_path, orientation)
    with lv.view(run.path, open_browser=False) as view:
        page = open_page(view.url)
        plain(page)
        for t, voxel in ((0, (9, 11, 8)), (7, (6, 14, 10)), (39, (13, 8, 6))):
            page.show(t)
            page.run("lazyvoxView.moveTo(arguments[0])", list(voxel))
            state = page.state
            assert state["value"] == run.values[(*voxel, t)]
            np.testing.assert_allclose(state["mm"], (run.affine @ [*voxel, 1])[:3], atol=1e-4)
            assert_shown(page, run.values[..., t], run.affine)
            lut = page.run("return lazyvoxView.colormap('gray')")
            picture = page.picture()
            for tile in state["planes"]:
                pixel = picture[int(tile["y"]), int(tile["x"])]
                wanted = through(lut, run.values[(*voxel, t)], state["window"])
                assert np.abs(pixel.astype(int) - wanted).max() <= 1


@pytest.mark.parametrize("orientation", ["LAS", "PSR"])
def test_zoomed_planes(open_page, written, tmp_path, orientation):
    run = written(tmp_path, orientation)
    with lv.view(run.path, open_browser=False) as view:
        page = open_page(view.url)
        plain(page)
        page.run("lazyvoxView.moveTo([12, 9, 10])")
        page.press("+", "+", "+")
        assert page.state["frame"]["zoom"] == pytest.approx(2**1.5)
        assert_shown(page, run.values[..., 0], run.affine, n_least=15)
        # Where the pixel under the crosshair was, it is still.
        page.press("+", "-")
        lut = page.run("return lazyvoxView.colormap('gray')")
        picture, state = page.picture(), page.state
        wanted = through(lut, run.values[12, 9, 10, 0], state["window"])
        for tile in state["planes"]:
            assert tile["left"] < tile["x"] < tile["left"] + tile["width"]
            pixel = picture[int(tile["y"]), int(tile["x"])]
            assert np.abs(pixel.astype(int) - wanted).max() <= 1
        page.run("document.getElementById('radiological').click()")
        for plane, is_mirrored in (("axial", True), ("coronal", True), ("sagittal", False)):
            pixels, values = seen(
                page, run.values[..., 0], run.affine, plane, is_mirrored=is_mirrored
            )
            wanted = through(lut, values, state["window"])
            assert len(values) > 15
            assert np.abs(pixels.astype(int) - wanted).max() <= 1


def test_colours_window_and_sides(page, run):
    plain(page)
    page.set("colormap", "viridis")
    page.set("window-low", 900)
    page.set("window-high", 1100)
    assert page.state["window"] == [900, 1100]
    page.run("document.getElementById('radiological').click()")
    assert run.values[..., 0].min() < 900
    assert run.values[..., 0].max() > 1100
    page.run("lazyvoxView.moveTo([5, 11, 8])")
    lut = page.run("return lazyvoxView.colormap('viridis')")
    for plane, is_mirrored in (("axial", True), ("coronal", True), ("sagittal", False)):
        pixels, values = seen(page, run.values[..., 0], run.affine, plane, is_mirrored=is_mirrored)
        wanted = through(lut, values, (900, 1100))
        assert np.abs(pixels.astype(int) - wanted).max() <= 1
    page.press("r")
    assert page.state["window"] != [900, 1100]


def overlaid(page, run, overlay, colors, look):
    """Compare pixels of the axial plane with an overlay over the grey image."""
    gray, warm, winter = (
        page.run("return lazyvoxView.colormap(arguments[0])", name) for name in ("gray", *colors)
    )
    t = page.state["t"]
    pixels, below = seen(page, run.values[..., t], run.affine, "axial")
    cut = page.state["voxel"][2]
    above = overlay[:, :, cut][run.values[:, :, cut, t] != 0]
    wanted = through(gray, below, page.state["window"]).astype(float)
    size = np.abs(above)
    shown = (size >= look["threshold"]) & (size > 0)
    for lut, sign in ((warm, 1), (winter, -1)):
        which = shown & (np.sign(above) == sign)
        color = through(lut, size[which], (look["threshold"], look["max"]))
        wanted[which] += look["opacity"] * (color - wanted[which])
    assert np.abs(pixels - wanted).max() <= 3
    return int(shown.sum())


def test_threshold_and_opacity_of_an_overlay(page, run):
    page.press("x", "o")
    look = page.state["overlays"][0]
    n_shown = overlaid(page, run, run.overlay, ("warm", "winter"), look)
    assert 20 < n_shown < 200
    page.set("overlay-threshold", 3)
    page.set("overlay-opacity", 0.4)
    look = page.state["overlays"][0]
    assert (look["threshold"], look["opacity"]) == (3, 0.4)
    assert 0 < overlaid(page, run, run.overlay, ("warm", "winter"), look) < n_shown
    page.find("overlay-shown").click()
    assert overlaid(page, run, run.overlay, ("warm", "winter"), {**look, "threshold": 1e9}) == 0


def test_an_overlay_on_another_grid(open_page, run):
    affine = nibabel.affines.from_matvec(np.diag([2.0, -2.5, 3.0]), [-35, 40, -40])
    there = nibabel.affines.apply_affine(affine, np.moveaxis(np.indices((36, 32, 27)), 0, -1))
    plane = (10 + there @ [0.05, 0.02, -0.03]).astype(np.float32)
    fine = nibabel.Nifti1Image(np.stack([plane, plane[::-1]], axis=-1), affine)
    with lv.view(run.path, overlays=fine, open_browser=False) as view:
        page = open_page(view.url)
        page.press("x")
        assert page.state["overlays"][0]["name"].endswith("first of 2 volumes")
        here = nibabel.affines.apply_affine(
            run.affine, np.moveaxis(np.indices(run.labels.shape), 0, -1)
        )
        expected = 10 + here @ [0.05, 0.02, -0.03]
        page.set("overlay-threshold", 9.8)
        look = page.state["overlays"][0]
        assert overlaid(page, run, expected, ("warm", "winter"), look) > 30


def test_an_overlay_with_the_volumes_of_the_run_follows_the_time(open_page, run):
    with lv.view(run.path, overlays=run.path, open_browser=False) as view:
        page = open_page(view.url)
        page.press("x")
        for t in (17, 5):
            page.show(t)
            page.wait(f"lazyvoxView.state().overlays[0].t === {t}")
            look = page.state["overlays"][0]
            assert look["name"] == "run.nii.gz"
            assert overlaid(page, run, run.values[..., t], ("warm", "winter"), look) > 200


def test_correlation_with_a_voxel(page, run):
    page.press("x", "o")
    page.find("overlay-shown").click()
    page.click_plane("axial", 0.33, 0.5, is_shift=True)
    page.wait("lazyvoxView.state().overlays.some((one) => one.id === 'seed')")
    state = page.state
    i, j, k = state["voxel"]
    look = state["overlays"][1]
    assert look["name"] == f"Correlation with ({i}, {j}, {k})"
    head = run.labels != 0
    courses = run.values[head].astype(float)
    courses -= courses.mean(axis=1, keepdims=True)
    courses /= np.linalg.norm(courses, axis=1, keepdims=True)
    expected = np.zeros(run.labels.shape)
    number = np.cumsum(head.ravel()).reshape(head.shape)[i, j, k] - 1
    expected[head] = courses @ courses[number]
    assert overlaid(page, run, expected, ("warm", "winter"), look) > 20


def test_maps_over_time(page, run):
    plain(page)
    page.wait("!document.querySelector('[data-testid=shown-image] option[value=tsnr]').disabled")
    mean, std = run.values.mean(axis=-1), run.values.std(axis=-1)
    tsnr = np.divide(mean, std, out=np.zeros_like(mean), where=std > 0)
    for name, expected in (("mean", mean), ("std", std), ("tsnr", tsnr)):
        page.set("shown-image", name)
        page.wait(f"lazyvoxView.state().image === '{name}'")
        i, j, k = page.state["voxel"]
        assert page.state["value"] == pytest.approx(expected[i, j, k], rel=1e-4)
        assert_shown_closely(page, expected, run.affine)
    page.press("\ue014")
    page.wait("lazyvoxView.state().image === 'volume' && lazyvoxView.state().t === 1")


def assert_shown_closely(page, values, affine):
    """Compare with values that were computed in another order: a step of colour may differ."""
    lut = page.run("return lazyvoxView.colormap('gray')")
    for plane in AXES:
        pixels, expected = seen(page, values, affine, plane)
        wanted = through(lut, expected, page.state["window"])
        assert np.abs(pixels.astype(int) - wanted).max() <= 2
