"""BIDS names, and the JSON files beside results."""

import hashlib
import json

import numpy as np
import pytest

from lazyvox._version import __version__
from lazyvox.bids.names import (
    bids_label,
    dataset_root,
    parse_name,
    sidecar_path,
    source_uri,
    timeseries_name,
)
from lazyvox.bids.sidecars import Provenance, hash_file, write_sidecar
from lazyvox.errors import ImageNotFoundError, OutputExistsError, ParameterError

RUN = "sub-01_task-rest_space-MNI_desc-preproc_bold.nii.gz"


@pytest.mark.parametrize(
    "name",
    [
        RUN,
        "sub-A1_ses-2_task-rest_acq-x_run-01_echo-2_bold.nii.gz",
        "sub-01_hemi-L_space-fsLR_den-91k_bold.func.gii",
        "sub-01_custom-7_desc-a+b_mask.nii",
        "tpl-MNI152_res-02_T1w.nii.gz",
    ],
)
def test_names_survive_parsing(name):
    assert str(parse_name(f"/data/sub-01/func/{name}")) == name


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("run.nii.gz", "it does not begin with sub-"),
        ("task-rest_sub-01_bold.nii", "it does not begin with sub-"),
        ("sub-01_rest_bold.nii", "'rest' is no key-label"),
        ("sub-01_task-a_b_bold.nii", "'b' is no key-label"),
        ("sub-01_task-ä_bold.nii", "is no key-label"),
        ("sub-01_run-1_run-2_bold.nii", "an entity is there twice"),
        ("sub-01_bold", "there is no suffix and extension"),
        ("sub-01_task-rest.nii", "there is no suffix and extension"),
        ("", "it does not begin with sub-"),
    ],
)
def test_other_names_are_refused(name, reason):
    with pytest.raises(ParameterError, match=rf"must be sub-01_key-label_.*{reason}"):
        parse_name(name)


def test_entities_have_the_order_of_bids():
    name = parse_name("sub-01_desc-a_custom-7_run-1_ses-2_bold.nii").with_entities(
        atlas="X", stat="mean", run=None, res="2"
    )
    assert str(name) == "sub-01_ses-2_atlas-X_res-2_stat-mean_custom-7_desc-a_bold.nii"
    assert (name.get("atlas"), name.get("run")) == ("X", None)


@pytest.mark.parametrize(
    ("run", "options", "wanted"),
    [
        (RUN, {}, "sub-01_task-rest_space-MNI_atlas-AAL_stat-mean_timeseries.tsv"),
        ("sub-01_ses-b_task-rest_run-2_space-MNI_res-2_bold.nii", {"extension": ".parquet"},
         "sub-01_ses-b_task-rest_run-2_space-MNI_atlas-AAL_res-2_stat-mean_timeseries.parquet"),
        (RUN, {"key": "seg", "stat": "standard_deviation"},
         "sub-01_task-rest_space-MNI_seg-AAL_stat-standardDeviation_timeseries.tsv"),
        (RUN, {"key": "label", "stat": ""}, "sub-01_task-rest_space-MNI_label-AAL_timeseries.tsv"),
    ],
)  # fmt: skip
def test_names_of_time_series(run, options, wanted):
    assert timeseries_name(run, "AAL", **options) == wanted
    parse_name(wanted)


def test_labels_are_letters_and_digits():
    assert bids_label("AAL3 v1.1_(2 mm)") == "AAL3V112Mm"
    with pytest.raises(ParameterError, match=r"must have letters .* Got '_-_'"):
        bids_label("_-_")


@pytest.mark.parametrize(
    ("path", "wanted"),
    [("a.tsv", "a.json"), ("x.y/a.nii.gz", "x.y/a.json"), ("/a/b", "/a/b.json")],
)
def test_json_file_lies_beside(path, wanted):
    assert sidecar_path(path) == wanted


def test_sources_are_uris_inside_of_a_dataset(tmp_path):
    root = tmp_path / "dataset"
    run = root / "sub-01" / "func" / "run.nii.gz"
    run.parent.mkdir(parents=True)
    sidecar = str(run.with_name("x.json"))
    assert dataset_root(str(run)) is None
    assert source_uri(str(run), sidecar, own_root=None, root=None) == "run.nii.gz"
    (root / "dataset_description.json").write_text("{}")
    found = dataset_root(str(run))
    assert found == str(root)
    assert source_uri(str(run), sidecar, own_root=found, root=found) == (
        "bids::sub-01/func/run.nii.gz"
    )
    mask = str(tmp_path / "masks" / "left.nii.gz")
    uri = source_uri(mask, sidecar, own_root=found, root=dataset_root(mask))
    assert uri == "../../../masks/left.nii.gz"


def test_hash_is_that_of_the_bytes(tmp_path):
    content = bytes(range(256)) * 9000
    (tmp_path / "mask.nii").write_bytes(content)
    assert hash_file(str(tmp_path / "mask.nii")) == hashlib.sha256(content).hexdigest()
    with pytest.raises(ImageNotFoundError, match="no such file"):
        hash_file(str(tmp_path / "none.nii"))


def provenance(t_r=2.5):
    return Provenance(
        sources=["bids::sub-01/func/run.nii.gz"],
        regions_sha256={"../atlas.nii.gz": "ab" * 32},
        parameters={"strategy": "mean", "high_pass": 0.01},
        n_volumes=40,
        censored=np.array([0, 7]),
        t_r=t_r,
        plan={"passes": 1},
        peak_bytes=np.int64(123),
    )


def test_json_says_how_the_table_was_made(tmp_path):
    written = write_sidecar(str(tmp_path / "x.tsv"), provenance().to_dict(), overwrite=False)
    assert written == str(tmp_path / "x.json")
    record = json.loads((tmp_path / "x.json").read_text())
    assert record["SamplingFrequency"] == 0.4
    assert record["CensoredVolumes"] == [0, 7]
    assert record["GeneratedBy"] == [{"Name": "lazyvox", "Version": __version__}]
    assert record["PeakBytes"] == 123
    assert list(record)[:3] == ["Description", "Sources", "SamplingFrequency"]
    with pytest.raises(OutputExistsError, match="must not exist yet"):
        write_sidecar(str(tmp_path / "x.tsv"), record, overwrite=False)
    write_sidecar(str(tmp_path / "x.tsv"), {"a": "é"}, overwrite=True)
    assert json.loads((tmp_path / "x.json").read_text("utf-8")) == {"a": "é"}
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]


def test_unknown_repetition_time_is_left_out():
    assert "SamplingFrequency" not in provenance(None).to_dict()
