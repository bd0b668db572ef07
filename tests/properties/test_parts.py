"""A pass whose parts other processes read: the same results, bit for bit, wherever it is cut."""

import pickle
import shutil

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lazyvox as lv
from lazyvox.errors import ParameterError
from lazyvox.extraction.api import Preparation, build_scan
from lazyvox.extraction.cleaning import CleaningOptions
from lazyvox.extraction.rois import RegionOptions
from lazyvox.lazyimage.series import as_series

SHAPE, N_VOLUMES = (6, 5, 4), 23


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run, plain and compressed, labels, and maps."""
    made = tmp_path_factory.mktemp("parts")
    rng = np.random.default_rng(0)
    values = rng.normal(100, 10, (*SHAPE, N_VOLUMES)).astype(np.float32)
    values[0, :, :, 7:9] = np.nan
    values[1, 1, 1] = 0
    labels = rng.integers(0, 5, SHAPE).astype(np.int16)
    for name, some in (("run.nii", values), ("run.nii.gz", values), ("labels.nii", labels)):
        nib.save(nib.Nifti1Image(some, np.eye(4)), made / name)
    nib.save(nib.Nifti1Image(rng.random((*SHAPE, 3)), np.eye(4)), made / "maps.nii")
    return made


def scan_of(folder, rois, *, source="run.nii", kept=None, clean=False, fwhm=None):
    cleaning = CleaningOptions(detrend=clean, standardize="psc" if clean else None)
    return build_scan(
        as_series(folder / source),
        rois,
        options=RegionOptions(),
        preparation=Preparation(fwhm, cleaning),
        sample_mask=kept,
    )


def found(results):
    return [(one.values.tobytes(), np.asarray(one.coverage).tobytes()) for one in results]


@pytest.mark.filterwarnings("ignore:.* regions are covered by less than")
@settings(max_examples=25, deadline=None)
@given(
    n_parts=st.integers(1, 30),
    block_volumes=st.sampled_from([1, 3, 4, 30]),
    kept=st.sampled_from([None, list(range(3, 21, 2))]),
    clean=st.booleans(),
    fwhm=st.sampled_from([None, 3.0]),
)
def test_parts_give_the_results_of_the_pass(folder, n_parts, block_volumes, kept, clean, fwhm):
    with pytest.MonkeyPatch.context() as patch:
        nbytes = block_volumes * int(np.prod(SHAPE)) * 4
        patch.setattr("lazyvox.planning.blocks.TARGET_BLOCK_BYTES", nbytes)
        patch.setattr("lazyvox.extraction.maps._MOST_VOLUMES", 5)
        check_parts(folder, n_parts, kept, clean, fwhm)


def check_parts(folder, n_parts, kept, clean, fwhm):
    def made():
        rois = [
            lv.Labels(folder / "labels.nii", strategy="mean,std,median", ensure_finite=True),
            lv.Labels(folder / "labels.nii", min_coverage=0.9, ensure_finite=True),
            lv.Maps(folder / "maps.nii", ensure_finite=True),
        ]
        return scan_of(folder, rois, kept=kept, clean=clean, fwhm=fwhm)

    scan, assemble = made()
    scan.run()
    whole = found(assemble())
    planned, gather = made()
    parts = []
    for volumes in planned.prepare().cuts(n_parts):
        reader, _ = made()
        parts.append(pickle.loads(pickle.dumps(reader.prepare().run_part(volumes))))
    planned.finish(parts)
    assert found(gather()) == whole


def test_labels_are_cut_anywhere_and_only_states_travel(folder):
    scan, _ = scan_of(folder, [folder / "labels.nii"])
    prepared = scan.prepare()
    cuts = prepared.cuts(4)
    assert cuts == [range(5), range(5, 11), range(11, 17), range(17, 23)]
    assert len(pickle.dumps(prepared.run_part(cuts[0]))) < 2000


def test_parts_of_maps_begin_where_batches_do(folder, monkeypatch):
    monkeypatch.setattr("lazyvox.extraction.maps._MOST_VOLUMES", 5)
    scan, _ = scan_of(folder, [lv.Maps(folder / "maps.nii"), lv.Labels(folder / "labels.nii")])
    assert scan.prepare().cuts(2) == [range(10), range(10, 23)]


@pytest.mark.parametrize(
    "consumer",
    [
        lambda folder: lv.Labels(folder / "labels.nii", strategy="mean,eigenvariate"),
        lambda folder: lv.Labels(folder / "labels.nii", out=folder / "table.npy"),
        lambda folder: lv.Mean(),
    ],
    ids=["eigenvariate", "file", "sums"],
)
def test_what_cannot_travel_is_not_cut(folder, consumer):
    scan = lv.Scan(folder / "run.nii")
    scan.add(lv.Labels(folder / "labels.nii"))
    scan.add(consumer(folder))
    assert scan.prepare().cuts(4) == [range(N_VOLUMES)]


def test_a_compressed_file_without_an_index_is_not_cut(folder):
    scan, _ = scan_of(folder, [folder / "labels.nii"], source="run.nii.gz")
    assert scan.prepare().cuts(4) == [range(N_VOLUMES)]


def test_a_compressed_file_with_an_index_is_cut(folder, tmp_path):
    shutil.copyfile(folder / "run.nii.gz", tmp_path / "run.nii.gz")
    lv.index(tmp_path / "run.nii.gz", beside=True)
    rois = [folder / "labels.nii"]
    whole, assemble = scan_of(folder, rois)
    whole.run()
    planned, gather = scan_of(tmp_path, rois, source="run.nii.gz")
    cuts = planned.prepare().cuts(4)
    assert len(cuts) == 4
    planned.finish([planned.prepare().run_part(volumes) for volumes in cuts])
    assert found(gather()) == found(assemble())


def test_parts_that_are_missing_are_named(folder):
    scan, _ = scan_of(folder, [folder / "labels.nii"])
    prepared = scan.prepare()
    parts = [prepared.run_part(volumes) for volumes in prepared.cuts(3)]
    with pytest.raises(ParameterError, match=r"`parts` must be all volumes in order. Got \[range"):
        scan.finish(parts[1:])
