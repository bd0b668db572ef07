"""The answers of a viewer are the arrays: volumes, series, correlations, maps, measures."""

import struct
import zlib

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.errors import ParameterError, ParameterTypeError, RegionError
from lazyvox.testing import image_of
from lazyvox.testing.images import nifti_bytes
from lazyvox.viewer.nifti import OFFSET

VOXEL = (6, 7, 5)
AT = "i=6&j=7&k=5"


def values(path="run.nii.gz"):
    return np.asarray(nib.load(path).dataobj, np.float64)


def correlations(run, voxel, regressors=None):
    """Return the correlation of each voxel with one, of what regressors leave."""
    n_volumes = run.shape[3]
    design = np.ones((n_volumes, 1))
    if regressors is not None:
        design = np.column_stack([design, regressors])
    flat = run.reshape(-1, n_volumes).T
    left = flat - design @ np.linalg.lstsq(design, flat, rcond=None)[0]
    left = left.reshape(n_volumes, *run.shape[:3])
    seed = left[(slice(None), *voxel)]
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.einsum("t,tijk->ijk", seed, left)
        found /= np.sqrt((seed**2).sum() * (left**2).sum(axis=0))
    return found


def png_pixels(body):
    assert body.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", body[16:24])
    length = struct.unpack(">I", body[33:37])[0]
    rows = np.frombuffer(zlib.decompress(body[41 : 41 + length]), np.uint8)
    return rows.reshape(height, width + 1)[:, 1:]


def test_facts(shared):
    facts = shared.get("info").json
    img = nib.load("run.nii.gz")
    assert facts["name"] == "run.nii.gz"
    assert facts["shape"] == [12, 14, 10, 40]
    assert facts["affine"] == img.affine.tolist()
    assert facts["t_r"] == img.header.get_zooms()[3]
    low, high = facts["window"]
    assert values()[..., 0].min() <= low < high <= values()[..., 0].max()
    absent = ("atlas", "events", "confounds", "fd")
    assert [facts[name] for name in absent] == [None] * 4
    assert (facts["mask"], facts["overlays"], facts["is_computed"]) == (False, [], False)


@pytest.mark.parametrize("number", [0, 17, 39])
def test_volumes_are_nifti_files_of_the_stored_values(shared, number):
    answer = shared.get(f"volume/{number}")
    assert answer.status == 200
    np.testing.assert_array_equal(answer.image.get_fdata(), values()[..., number])
    np.testing.assert_array_equal(answer.image.affine, nib.load("run.nii.gz").affine)
    assert answer.image.dataobj.offset == OFFSET
    assert answer.headers["content-type"] == "application/octet-stream"


@pytest.mark.parametrize(
    ("dtype", "slope", "sent"),
    [
        ("u1", None, "uint8"),
        (">i2", (0.5, -3.0), "int16"),
        (">u2", None, "uint16"),
        ("i4", None, "float32"),
        ("f8", None, "float32"),
        (">f4", None, "float32"),
        ("i1", (2.0, 0.0), "float32"),
    ],
)
def test_types_and_scales(view, tmp_path, dtype, slope, sent):
    stored = np.random.default_rng(0).integers(0, 100, (4, 5, 6, 3)).astype(dtype)
    scale = {} if slope is None else {"slope": slope[0], "inter": slope[1]}
    (tmp_path / "a.nii").write_bytes(nifti_bytes(stored, **scale))
    image = view(tmp_path / "a.nii").get("volume/2").image
    assert image.get_data_dtype().name == sent
    np.testing.assert_array_equal(image.get_fdata(), values(tmp_path / "a.nii")[..., 2])


def test_a_3d_image_and_one_in_memory(view):
    array = np.arange(60, dtype=np.float32).reshape(3, 4, 5)
    client = view(nib.Nifti1Image(array, np.eye(4)))
    assert client.get("info").json["shape"] == [3, 4, 5, 1]
    np.testing.assert_array_equal(client.get("volume/0").image.get_fdata(), array)
    assert client.after_the_pass()["pass"]["state"] == "done"
    assert client.get("carpet.png").status == 204
    assert client.get("series?i=1&j=2&k=3").json["value"] == [array[1, 2, 3]]


def test_computed_images(view):
    img = lv.load("run.nii.gz")
    computed = lv.image.smooth_img(img, 6) - lv.mean_img(img)
    client = view(computed)
    wanted = np.asarray(computed.dataobj, np.float64)
    assert client.get("info").json["is_computed"]
    np.testing.assert_allclose(client.get("volume/9").image.get_fdata(), wanted[..., 9], atol=1e-3)
    np.testing.assert_allclose(client.get(f"series?{AT}").json["value"], wanted[VOXEL], atol=1e-3)
    found = client.get(f"correlation?{AT}").image.get_fdata()
    np.testing.assert_allclose(found, correlations(wanted, VOXEL), atol=1e-5)
    # The files below it have an index now.
    assert client.after_the_pass()["index"]["state"] == "ready"


def test_series_of_a_voxel_and_its_region(view):
    client = view(atlas="atlas.nii.gz", lut="atlas.tsv")
    found = client.get(f"series?{AT}").json
    assert found["value"] == values()[VOXEL].tolist()
    assert found["voxel"] == list(VOXEL)
    img = nib.load("run.nii.gz")
    assert found["mm"] == nib.affines.apply_affine(img.affine, VOXEL).tolist()
    label = int(values("atlas.nii.gz")[VOXEL])
    inside = values("atlas.nii.gz") == label
    assert found["region"]["label"] == label
    np.testing.assert_allclose(found["region"]["value"], values()[inside].mean(axis=0))
    signals = lv.extract("run.nii.gz", "atlas.nii.gz", lut="atlas.tsv")
    column = signals.names.index(found["region"]["name"])
    assert found["region"]["value"] == np.asarray(signals)[:, column].tolist()
    outside = np.argwhere(values("atlas.nii.gz") == 0)[0]
    i, j, k = outside
    assert client.get(f"series?i={i}&j={j}&k={k}").json["region"] is None


def test_series_as_a_table(view):
    client = view(atlas="atlas.nii.gz")
    answer = client.get(f"series.tsv?{AT}")
    assert answer.headers["content-disposition"] == 'attachment; filename="run_voxel-6-7-5.tsv"'
    lines = [line.split("\t") for line in answer.body.decode().splitlines()]
    assert lines[0] == ["volume", "time", "voxel", "region"]
    numbers = np.array(lines[1:], np.float64)
    np.testing.assert_array_equal(numbers[:, 0], np.arange(40))
    np.testing.assert_array_equal(numbers[:, 1], np.arange(40) * 2.0)
    np.testing.assert_array_equal(numbers[:, 2], values()[VOXEL])
    region = client.get(f"series?{AT}").json["region"]["value"]
    np.testing.assert_array_equal(numbers[:, 3], region)


def test_correlation_with_a_voxel(view):
    client = view()
    wanted = correlations(values(), VOXEL)
    for _ in range(2):
        # While the pass runs, and when it has told which voxels vary.
        found = client.get(f"correlation?{AT}").image.get_fdata()
        np.testing.assert_allclose(found, np.nan_to_num(wanted), atol=1e-6)
        assert found[VOXEL] == 1
        client.after_the_pass()
        client.get("correlation?i=6&j=7&k=6")


def test_confounds_are_regressed_out(view):
    regressors = np.random.default_rng(0).normal(size=(40, 3)).cumsum(axis=0)
    np.savetxt("regressors.tsv", regressors, delimiter="\t", header="a\tb\tc", comments="")
    client = view(confounds="regressors.tsv")
    assert client.get("info").json["confounds"] == ["a", "b", "c"]
    found = client.get(f"correlation?{AT}").image.get_fdata()
    wanted = correlations(values(), VOXEL, regressors)
    np.testing.assert_allclose(found, np.nan_to_num(wanted), atol=1e-6)


def test_masks_confine_measures_and_correlations(view):
    client = view(mask_img="mask.nii.gz")
    inside = values("mask.nii.gz") > 0
    client.after_the_pass()
    i, j, k = np.argwhere(inside)[3]
    found = client.get(f"correlation?i={i}&j={j}&k={k}").image.get_fdata()
    assert not found[~inside].any()
    wanted = correlations(values(), (i, j, k))
    np.testing.assert_allclose(found[inside], wanted[inside], atol=1e-6)
    measures = client.get("quality").json
    signal = lv.global_signal("run.nii.gz", mask_img="mask.nii.gz")
    assert measures["global_signal"] == signal.tolist()
    np.testing.assert_array_equal(client.get("mask").image.get_fdata(), inside)


def test_a_voxel_that_does_not_vary_has_no_correlation(view):
    array = np.random.default_rng(0).normal(size=(4, 4, 4, 20)).astype("f4")
    array[1, 2, 3] = 7
    client = view(nib.Nifti1Image(array, np.eye(4)))
    wanted = (
        "The values of voxel (1, 2, 3) do not vary over time, or are not all finite: nothing "
        "correlates with it."
    )
    for _ in range(2):
        answer = client.get("correlation?i=1&j=2&k=3")
        assert (answer.status, answer.json["error"]) == (409, wanted)
        client.after_the_pass()
    assert client.get("correlation?i=0&j=0&k=0").image.get_fdata()[1, 2, 3] == 0


def test_maps_and_measures_of_the_pass(view):
    client = view(motion=np.zeros((40, 6)), motion_format="spm")
    client.after_the_pass()
    maps = {"mean": lv.mean_img, "std": lv.std_img, "tsnr": lv.tsnr_img}
    for name, function in maps.items():
        wanted = np.asarray(function("run.nii.gz").dataobj).astype(np.float32)
        np.testing.assert_array_equal(client.get(f"map/{name}").image.get_fdata(), wanted)
    measures = client.get("quality").json
    assert measures["dvars"] == [None, *lv.dvars("run.nii.gz")[1:].tolist()]
    assert measures["global_signal"] == lv.global_signal("run.nii.gz").tolist()
    assert measures["fd"] == [None] + [0.0] * 39
    assert client.get("map/variance").status == 404


def test_the_carpet_is_that_of_the_report(view):
    client = view(mask_img="mask.nii.gz")
    client.after_the_pass()
    pixels = png_pixels(client.get("carpet.png").body)
    inside = values("mask.nii.gz") > 0
    courses = values()[inside].astype(np.float32)
    time = np.linspace(-1, 1, 40)
    left = courses - courses.mean(axis=1, keepdims=True)
    left -= np.outer(left @ time / (time @ time), time)
    left /= left.std(axis=1, keepdims=True)
    assert pixels.shape == (inside.sum(), 40)
    wanted = np.clip(127.5 + left * 127.5 / 2, 0, 255)
    assert np.abs(pixels - wanted).max() <= 1


def test_overlays_atlas_and_events(view):
    np.savetxt("e.tsv", [[4, 2], [10, 0]], delimiter="\t", header="onset\tduration", comments="")
    client = view(
        overlays=["mask.nii.gz", "run.nii.gz"],
        atlas="atlas.nii.gz",
        lut="atlas.tsv",
        events="e.tsv",
    )
    facts = client.get("info").json
    assert [(one["id"], one["name"], one["n_volumes"]) for one in facts["overlays"]] == [
        (0, "mask.nii.gz", 1),
        (1, "run.nii.gz", 40),
    ]
    np.testing.assert_array_equal(client.get("overlay/0").image.get_fdata(), values("mask.nii.gz"))
    np.testing.assert_array_equal(client.get("overlay/1?t=5").image.get_fdata(), values()[..., 5])
    assert (client.get("overlay/2").status, client.get("overlay/1?t=40").status) == (404, 404)
    np.testing.assert_array_equal(client.get("atlas").image.get_fdata(), values("atlas.nii.gz"))
    names = [one["name"] for one in facts["atlas"]["regions"]]
    assert names == list(lv.extract("run.nii.gz", "atlas.nii.gz", lut="atlas.tsv").names)
    assert facts["events"] == [
        {"onset": 4.0, "duration": 2.0, "trial_type": None},
        {"onset": 10.0, "duration": 0.0, "trial_type": None},
    ]


def test_an_atlas_on_another_grid_is_brought_to_that_of_the_run(view):
    atlas = nib.load("atlas.nii.gz")
    coarse = atlas.slicer[::2, ::2, ::2]
    found = view(atlas=coarse).get("atlas").image
    assert found.shape == (12, 14, 10)
    np.testing.assert_array_equal(found.get_fdata()[::2, ::2, ::2], np.asarray(coarse.dataobj))


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("volume/40", 404, "The run has 40 volumes."),
        ("volume/-1", 400, "t must be a whole number from 0 to 999999999."),
        ("volume/one", 400, "t must be a whole number from 0 to 999999999."),
        (f"overlay/{'1' * 5000}", 400, "id must be a whole number from 0 to 999999999."),
        ("series?i=1&j=2", 400, "k must be a whole number from 0 to 999999999."),
        ("series?i=1&j=2&k=-1", 400, "k must be a whole number from 0 to 999999999."),
        ("series?i=1&j=2&k=1e9", 400, "k must be a whole number from 0 to 999999999."),
        ("series?i=12&j=2&k=1", 400, "`i` must be from 0 to 11. Got 12."),
        (
            "correlation?i=99999999999&j=2&k=1",
            400,
            "i must be a whole number from 0 to 999999999.",
        ),
        ("atlas", 404, "There is no atlas."),
        ("mask", 404, "There is no mask."),
        ("overlay/0", 404, "There are 0 overlays."),
        ("nothing", 404, "Not Found"),
    ],
)
def test_what_is_not_there(shared, path, status, message):
    answer = shared.get(path)
    assert (answer.status, answer.json["error"]) == (status, message)


def test_names_arrive_as_they_can_be_shown_and_as_json_only(view, tmp_path):
    name = "<script>alert(1)<-script>\u202e.nii.gz"
    lv.save(lv.load("run.nii.gz"), tmp_path / name)
    bad = '"onmouseover=</script>\0=HYPERLINK()'
    client = view(tmp_path / name, atlas="left.nii.gz", lut={1: bad})
    answer = client.get("info")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.json["name"] == "<script>alert(1)<-script>\\u202e.nii.gz"
    shown = answer.json["atlas"]["regions"][0]["name"]
    assert shown == '"onmouseover=</script>\\x00=HYPERLINK()'
    table = client.get(f"series.tsv?{AT}")
    assert table.headers["content-disposition"].isascii()
    assert "<" not in table.headers["content-disposition"]


def test_a_view_in_a_notebook(view):
    client = view()
    frame = client.view._repr_html_()
    assert f'src="{client.view.url}"' in frame
    assert repr(client.view) == f"<View at {client.view.url}>"
    client.view.close()
    client.view.close()
    assert "closed" in client.view._repr_html_()
    assert repr(client.view) == "<View, closed>"
    with pytest.raises(ConnectionRefusedError, match="refused"):
        client.get("info")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"img": ["run.nii.gz", "run.nii.gz"]},
            ParameterTypeError,
            r"must be one run\. Got a list of 2\. Join them first, with",
        ),
        ({"img": "run.nii.gz", "lut": "atlas.tsv"}, ParameterError, "`lut` has the names of"),
        (
            {"img": "run.nii.gz", "motion": np.zeros((4, 6)), "motion_format": "spm"},
            ParameterError,
            "`motion` must have a row for each volume. Got 4 rows and 40 volumes",
        ),
        ({"img": "run.nii.gz", "motion_format": "spm"}, ParameterError, "which is missing"),
        ({"img": "run.nii.gz", "events": "atlas.tsv"}, ParameterError, "columns onset and"),
        ({"img": "run.nii.gz", "confounds": np.zeros((3, 2))}, ParameterError, "40"),
        ({"img": "run.nii.gz", "mask_img": "run.nii.gz"}, RegionError, "mask"),
    ],
)
def test_what_is_refused(view, options, error, message):
    with pytest.raises(error, match=message):
        view(**options)


def test_complex_voxels_are_refused(view):
    with pytest.raises(ParameterTypeError, match="the viewer shows real voxels"):
        view(image_of(np.ones((2, 2, 2, 2), np.complex64)))
