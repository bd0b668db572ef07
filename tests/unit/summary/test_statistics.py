"""Statistics of regions, on numbers computed from their definitions."""

import nibabel as nib
import numpy as np
import pytest

import lazyvox as lv
from lazyvox.store.files import spool
from lazyvox.summary import regions
from lazyvox.summary.robust_range import count_in_bins, robust_range
from lazyvox.testing.images import image_of

SHAPE = (9, 8, 7, 6)
AFFINE = np.array([[-2.0, 0.3, 0, 10], [0, 3, 0, -5], [0.1, 0, 4, 7], [0, 0, 0, 1]])


def values_of(dtype="f4", shape=SHAPE):
    return np.random.default_rng(0).normal(100, 40, shape).astype(dtype)


def image(values):
    return nib.Nifti1Image(values, AFFINE)


def of_values(values, affine, ijk, percentiles=(2, 98)):
    """Return the row of some values, and the indices of their voxels, from the definitions."""
    n = len(values)
    centre = affine[:3, :3] @ (values @ ijk / values.sum()) + affine[:3, 3]
    return {
        "voxels": n,
        "mm3": n * abs(np.linalg.det(affine[:3, :3])),
        "mean": values.mean(),
        "sd": values.std(ddof=1),
        "min": values.min(),
        "max": values.max(),
        **{f"p{q:g}": np.percentile(values, q) for q in percentiles},
        **dict(zip("xyz", centre, strict=True)),
    }


def check(table, row, wanted):
    for name, number in wanted.items():
        np.testing.assert_allclose(table[name][row], number, rtol=1e-7, err_msg=name)


@pytest.fixture(params=["sorted in memory", "ranked in a file"])
def way(request, monkeypatch):
    if request.param == "ranked in a file":
        monkeypatch.setattr(spool, "SMALL_SPOOL_BYTES", 0)
        monkeypatch.setattr(regions, "RANKED_VALUES", 50)
    return request.param


@pytest.mark.parametrize("dtype", ["u1", "i2", ">f4", "f8"])
def test_of_all_voxels(way, dtype):
    values = values_of("f8").clip(0, 255).astype(dtype)
    table = lv.stats(image(values), percentiles=(2, 33.3, 98))
    ijk = np.stack(np.meshgrid(*map(np.arange, SHAPE[:3]), indexing="ij"), -1).reshape(-1, 3)
    flat = values.astype("f8").reshape(-1, SHAPE[3])
    check(table, 0, of_values(flat.ravel(), AFFINE, np.repeat(ijk, SHAPE[3], 0), (2, 33.3, 98)))
    assert table.n_rows == 1


def test_of_labels_in_a_mask_by_volume(way):
    values = values_of()
    labels = np.random.default_rng(1).integers(0, 4, SHAPE[:3]).astype("i2")
    mask = np.random.default_rng(2).integers(0, 2, SHAPE[:3]).astype("u1")
    table = lv.stats(
        image(values), labels_img=image(labels), mask_img=image(mask), lut=["A", "B", "C"],
        per_volume=True,
    )  # fmt: skip
    assert table.n_rows == 3 * SHAPE[3]
    assert table["region"].tolist() == ["A", "B", "C"] * SHAPE[3]
    for row in range(table.n_rows):
        inside = (labels == table["label"][row]) & (mask == 1)
        volume = values[..., table["volume"][row]].astype("f8")
        check(table, row, of_values(volume[inside], AFFINE, np.argwhere(inside)))


def test_of_selected_values(way):
    values = values_of("f8")
    values[0, 0, 0], values[1, 1, 1, 2], values[2:4] = np.nan, np.inf, 0
    mask = np.ones(SHAPE[:3], "u1")
    mask[-1] = 0
    table = lv.stats(image(values), mask_img=image(mask), above=-5, below=130.5, nonzero=True)
    inside = values[mask == 1]
    chosen = np.isfinite(inside) & (inside > -5) & (inside < 130.5) & (inside != 0)
    ijk = np.repeat(np.argwhere(mask)[:, None], SHAPE[3], 1)[chosen]
    check(table, 0, of_values(inside[chosen], AFFINE, ijk))
    assert table["non_finite"].tolist() == [7]
    assert table.remarks == ("7 values that are not finite were left out",)


def test_of_several_images():
    other = nib.Nifti1Image(values_of("i2", (3, 4, 5)), np.eye(4))
    table = lv.stats([image(values_of()), other])
    assert table["voxels"].tolist() == [9 * 8 * 7 * 6, 60]
    assert table["mm3"][1] == 60


def test_nothing_is_left():
    table = lv.stats(image(values_of()), above=1e9)
    assert table["voxels"][0] == 0
    assert np.isnan(
        [table[name][0] for name in ("mean", "sd", "min", "p2", "robust_max", "x")]
    ).all()
    assert np.isnan(lv.stats(image_of(np.ones((1, 1, 1))))["sd"][0])


def test_results_do_not_depend_on_blocks_and_slabs():
    values = np.random.default_rng(3).normal(10, 3, (70, 60, 9, 5)).astype("f4")
    expected = lv.stats(image(values))
    least = lv.plan(lv.stats, image(values)).peak_bytes
    for less in (2, 3, 4, 5):
        found = lv.stats(image(values), memory=least - less * values[..., 0].nbytes)
        assert list(found.rows()) == list(expected.rows())


class TestRobustRange:
    """FSL's algorithm, against a plain version of its loop over bins."""

    @staticmethod
    def plain(values):
        low, high = float(values.min()), float(values.max())
        smallest, largest = low, high
        for look in range(1, 11):
            if look == 10:
                low, high = smallest, largest
            bins = [0] * 1000
            for one in values:
                bins[min(max(int(1000 * (one - low) / (high - low)), 0), 999)] += 1
            n, first, last = len(values), 0, 999
            if look == 10:
                n -= bins[0] + bins[999]
                first, last = 1, 998
            count, bottom, top = 0, first, last
            while count < n // 50:
                count += bins[bottom]
                bottom += 1
            count = 0
            while count < n // 50:
                count += bins[top]
                top -= 1
            bottom, top = bottom - 1, top + 1
            width = (high - low) / 1000
            found = low + bottom * width, low + (top + 1) * width
            if look == 10 or found[1] - found[0] >= (high - low) / 10:
                return found
            low, high = low + max(bottom - 1, 0) * width, low + (min(top + 1, 999) + 1) * width
        raise AssertionError

    @pytest.mark.parametrize("kind", ["normal", "tails", "integers", "two", "one far away"])
    def test_is_that_of_the_plain_loop(self, kind):
        rng = np.random.default_rng(0)
        values = {
            "normal": rng.normal(100, 10, 3000),
            "tails": rng.standard_cauchy(3000),
            "integers": rng.poisson(4, 2000).astype("f8"),
            "two": np.repeat([0.0, 1.0], [400, 300]),
            "one far away": np.append(rng.normal(0, 1, 999), 1e9),
        }[kind]
        found = robust_range(values.min(), values.max(), lambda a, b: count_in_bins(values, a, b))
        np.testing.assert_allclose(found, self.plain(values), rtol=1e-9, atol=1e-9)

    def test_few_values_and_equal_ones_have_their_own_range(self):
        few = np.arange(49.0)
        assert robust_range(0, 48, lambda a, b: count_in_bins(few, a, b)) == (0, 48)
        assert robust_range(3, 3, lambda a, b: count_in_bins(few, a, b)) == (3, 3)

    def test_in_a_table(self, way):
        values = values_of("f8", (20, 10, 5))
        table = lv.stats(image(values))
        found = table["robust_min"][0], table["robust_max"][0]
        np.testing.assert_allclose(found, self.plain(values.ravel()), rtol=1e-12)


REFUSED = [
    ({"percentiles": (2, 101)}, lv.ParameterError, "`percentiles` must be from 0 to 100"),
    ({"percentiles": (2, 2)}, lv.ParameterError, "each once"),
    ({"percentiles": "2,98"}, lv.ParameterTypeError, "`percentiles` must be a list of numbers"),
    ({"ddof": -1}, lv.ParameterError, "`ddof` must be an integer, 0 or larger"),
    ({"lut": ["A"]}, lv.ParameterError, "`lut` names the regions of `labels_img`"),
    ({"mask_img": image(np.zeros(SHAPE[:3]))}, lv.RegionError, "must hold at least one voxel"),
    ({"labels_img": image_of(np.ones(SHAPE[:3]))}, lv.GridMismatchError, "must share one voxel grid"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "kind", "message"), REFUSED)
def test_bad_options_are_refused(options, kind, message):
    with pytest.raises(kind, match=message):
        lv.stats(image(values_of()), **options)


def test_complex_voxels_and_empty_lists_are_refused():
    with pytest.raises(lv.ParameterTypeError, match="statistics need real voxels"):
        lv.stats(image(values_of("c8")))
    with pytest.raises(lv.ParameterError, match="at least one image"):
        lv.stats([])


class TestTable:
    """The table in files, as text and as a data frame."""

    @pytest.fixture
    def table(self):
        return lv.stats(image(values_of()), above=1e9)

    def test_files(self, table, tmp_path):
        table.save(tmp_path / "t.tsv")
        heading, row = (tmp_path / "t.tsv").read_text().splitlines()
        assert heading.split("\t") == list(table.names)
        assert row.split("\t")[-3:] == ["n/a"] * 3
        table.save(tmp_path / "t.csv")
        assert (tmp_path / "t.csv").read_text().splitlines()[1].endswith("nan,nan,nan")
        table.save(tmp_path / "t.json")
        import json

        (found,) = json.loads((tmp_path / "t.json").read_text())
        assert found["mean"] is None
        assert found["voxels"] == 0
        with pytest.raises(lv.OutputExistsError, match="overwrite"):
            table.save(tmp_path / "t.tsv")
        with pytest.raises(lv.ParameterError, match=r"`path` must end in \.tsv, \.csv, \.json"):
            table.save(tmp_path / "t.xlsx")

    def test_columns(self, table):
        pandas = pytest.importorskip("pandas")
        assert isinstance(table.to_dataframe(), pandas.DataFrame)
        assert list(table.to_dataframe()) == list(table.names)
        title, heading, row = repr(table).splitlines()
        assert title == "<SummaryTable of 1 rows, 15 columns>"
        assert heading.split()[:3] == ["image", "voxels", "mm3"]
        assert row.split()[-1] == "nan"
        assert "<th>voxels</th>" in table._repr_html_()
        assert repr(lv.qc(image(values_of("f4", (3, 3, 3, 9))))).splitlines()[-1].strip() == "..."
        assert str(table).splitlines()[0].split("\t")[0] == "image"
        with pytest.raises(lv.ParameterError, match="must have the column"):
            table["median"]
