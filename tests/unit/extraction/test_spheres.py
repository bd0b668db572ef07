from functools import partial

import nibabel
import numpy as np
import pytest

from lazyvox.errors import GridMismatchError, LazyvoxWarning, ParameterError, RegionError
from lazyvox.extraction.seeds import looks_like_seeds, read_seeds
from lazyvox.extraction.spheres import Spheres
from lazyvox.lazyimage.series import as_series
from lazyvox.stream.scan import Scan
from lazyvox.testing import feed, run_like

SHAPE = (8, 9, 7)
N_VOLUMES = 11
run_values = partial(run_like, (*SHAPE, N_VOLUMES))
AFFINE = np.array([[2.0, 0, 0, -8], [0, 2, 0, -9], [0, 0, 2, -7], [0, 0, 0, 1]])
SEEDS = [(-4, -3, -1), (3.2, 4.1, 2)]


def image(values, affine=AFFINE):
    return nibabel.Nifti1Image(values, affine)


def distances(seed):
    ijk = np.indices(SHAPE).reshape(3, -1).T
    xyz = nibabel.affines.apply_affine(AFFINE, ijk)
    return np.sqrt(((xyz - np.asarray(seed)) ** 2).sum(axis=1)).reshape(SHAPE)


def check(seeds, radius=None, **options):
    Spheres(seeds, radius, **options).check(as_series(image(run_values())).grid)


@pytest.mark.parametrize("dtype", ["u2", "i2", "f4", "f8"])
@pytest.mark.parametrize("slab_slices", [None, 1, 3])
def test_means_of_the_voxels_within_the_radius(dtype, slab_slices):
    values = run_values(dtype)
    signals = feed(Spheres(SEEDS, 3.5), image(values), 1, slab_slices)
    assert signals.dtype == np.float64
    assert signals.names == ("0", "1")
    for column, seed in zip(signals.values.T, SEEDS, strict=True):
        inside = values[distances(seed) <= 3.5].astype("f8")
        np.testing.assert_allclose(column, inside.mean(axis=0), rtol=1e-12)


def test_without_a_radius_the_nearest_voxel():
    values = run_values()
    signals = feed(Spheres(SEEDS), image(values))
    for column, seed in zip(signals.values.T, SEEDS, strict=True):
        nearest = np.unravel_index(distances(seed).argmin(), SHAPE)
        np.testing.assert_array_equal(column, values[nearest])


def test_names_and_radii_of_a_table(tmp_path):
    (tmp_path / "seeds.csv").write_text("name,X,y,z,radius\na,-4,-3,-1,2\nb,3.2,4.1,2,5\n")
    values = run_values()
    signals = feed(Spheres(tmp_path / "seeds.csv"), image(values))
    assert signals.names == ("a", "b")
    both = feed(Spheres(SEEDS[:1], 2), image(values)), feed(Spheres(SEEDS[1:], 5), image(values))
    np.testing.assert_array_equal(signals.values, np.hstack([one.values for one in both]))
    given = feed(Spheres(tmp_path / "seeds.csv", 2), image(values))
    np.testing.assert_array_equal(given.values[:, 0], signals.values[:, 0])


def test_seeds_of_one_name_are_numbered_and_named_as_seeds():
    with pytest.warns(LazyvoxWarning, match=r"`seeds` should have names .* added to PCC\."):
        spheres = Spheres(SEEDS, 2, names=["PCC"] * 2)
    assert feed(spheres, image(run_values())).names == ("PCC 0", "PCC 1")


def test_overlapping_spheres_show_their_mean():
    seeds = [(-4, -3, -1), (-2, -3, -1)]
    signals = feed(Spheres(seeds, 3, allow_overlap=True), image(run_values()))
    img = signals.to_img().get_fdata()
    one, other = (distances(seed) <= 3 for seed in seeds)
    expected = signals.values.mean(axis=1)
    np.testing.assert_allclose(img[one & other], expected[None].repeat((one & other).sum(), 0))
    np.testing.assert_allclose(img[one & ~other][0], signals.values[:, 0])
    assert (img[~(one | other)] == 0).all()


def test_writes_a_table(tmp_path):
    image(run_values()).to_filename(tmp_path / "run.nii.gz")
    scan = Scan(tmp_path / "run.nii.gz")
    handle = scan.add(Spheres(SEEDS, 3, names=["a", "b"], out=tmp_path / "seeds.tsv"))
    scan.run()
    assert (tmp_path / "seeds.tsv").read_text().splitlines()[0] == "a\tb"
    assert handle.result().values.shape == (N_VOLUMES, 2)


@pytest.mark.parametrize(
    ("seeds", "match"),
    [
        ([(0, 0, np.nan)], "must be finite coordinates in mm. Got .* as seed 0"),
        ([(0, 0, 0), (1, 2)], "Seed 1 has 2"),
        ([(0, 0, "x")], "must be triples of coordinates.*as seed 0"),
        ([], "at least one seed"),
        (7, "must be a list of .x, y, z. in mm. Got int"),
    ],
)
def test_seeds_that_are_none(seeds, match):
    with pytest.raises(RegionError, match=match):
        read_seeds(seeds)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("x\ty\n1\t2\n", "must have the columns x, y and z"),
        ("", "a table of seeds must have at least one row"),
        ("x\ty\tz\n1\t2\tn/a\n", "seed 0: coordinates and radii must be numbers in mm. Got 'n/a'"),
        (
            "x\ty\tz\n1\t2\n",
            "seeds.tsv, line 2, seed 0: coordinates and radii must be numbers in mm. Got ''",
        ),
    ],
)
def test_tables_that_are_none(tmp_path, text, match):
    (tmp_path / "seeds.tsv").write_text(text)
    with pytest.raises(RegionError, match=match):
        read_seeds(tmp_path / "seeds.tsv")


def test_tables_of_another_kind(tmp_path):
    with pytest.raises(ParameterError, match=r"must be \.tsv or \.csv"):
        read_seeds(tmp_path / "seeds.txt")


def test_what_looks_like_seeds():
    assert looks_like_seeds(np.zeros((5, 3)))
    assert looks_like_seeds("seeds.tsv")
    assert looks_like_seeds((1, 2, 3))
    assert not looks_like_seeds("mask.nii.gz")
    assert not looks_like_seeds([[(1, 2, 3), (4, 5, 6), (7, 8, 9)]])
    assert not looks_like_seeds(["a.nii", "b.nii", "c.nii"])
    assert not looks_like_seeds([])


class TestRefused:
    def test_outside_of_the_image(self):
        with pytest.raises(RegionError, match=r"1 of 2 hold none: 1 at \(90.0, 0.0, 0.0\)"):
            check([(0, 0, 0), (90, 0, 0)], 4)

    def test_outside_of_the_mask(self):
        mask = np.zeros(SHAPE, "u1")
        mask[:2] = 1
        with pytest.raises(RegionError, match="a voxel of the image and the mask"):
            check([(5, 0, 0)], 2, mask_img=image(mask))

    def test_overlap(self):
        with pytest.raises(RegionError, match=r"around a at .* b at .* share voxels"):
            check([(0, 0, 0), (2, 0, 0)], 3, names=["a", "b"])

    @pytest.mark.parametrize("radius", [-1, np.nan, np.inf, "3", True])
    def test_radius(self, radius):
        with pytest.raises(ParameterError, match="`radius` must be a length in mm"):
            Spheres(SEEDS, radius)

    def test_names(self):
        with pytest.raises(RegionError, match="Got 1 for 2 seeds"):
            Spheres(SEEDS, 3, names=["a"])

    def test_mask_on_another_grid(self):
        mask = image(np.ones(SHAPE, "u1"), np.eye(4))
        with pytest.raises(GridMismatchError, match="Pass resample=True"):
            check(SEEDS, 3, mask_img=mask)


@pytest.mark.parametrize(
    ("header", "names"),
    [
        ("name", ("one", "other")),
        ("Label", ("one", "other")),
        ("region", ("one", "other")),
        ("network", None),
    ],
)
def test_names_of_a_table(tmp_path, header, names):
    (tmp_path / "seeds.csv").write_text(f"x,y,z,{header}\n1,2,3,one\n4,5,6, other\n")
    assert read_seeds(tmp_path / "seeds.csv").names == names


def test_the_column_of_names_counts_before_labels(tmp_path):
    (tmp_path / "seeds.tsv").write_text("label\tx\ty\tz\tname\n7\t1\t2\t3\tPCC\n8\t4\t5\t6\t\n")
    assert read_seeds(tmp_path / "seeds.tsv").names == ("PCC", "")
