"""Results of each command."""

import json

import nibabel as nib
import numpy as np
import pytest

from lazyvox.store.files.block_cache import shared_blocks

NUMPY = {"mean": np.mean, "std": np.std}


def whole(path):
    return np.asarray(nib.load(path).dataobj)


@pytest.mark.parametrize("command", ["mean", "std"])
def test_statistic_is_that_of_the_whole_array(lazyvox, command):
    done = lazyvox(command, "run.nii.gz", "-o", "out.nii.gz")
    assert (done.code, done.out, done.err) == (0, "out.nii.gz: 12 x 14 x 10, float32\n", "")
    img = nib.load("out.nii.gz")
    assert img.get_data_dtype() == np.float32
    np.testing.assert_array_equal(img.affine, nib.load("run.nii.gz").affine)
    wanted = NUMPY[command](whole("run.nii.gz").astype(float), axis=-1)
    np.testing.assert_allclose(np.asarray(img.dataobj), wanted, rtol=1e-6, atol=1e-6)


def test_tsnr_uses_ddof_and_dtype(lazyvox):
    done = lazyvox("tsnr", "run.nii.gz", "-o", "out.nii", "--ddof", "1", "--dtype", "float64")
    assert done.code == 0
    values, inside = whole("run.nii.gz").astype(float), whole("mask.nii.gz") == 1
    wanted = values.mean(-1)[inside] / values.std(-1, ddof=1)[inside]
    np.testing.assert_allclose(whole("out.nii")[inside], wanted, rtol=1e-10)
    assert not whole("out.nii")[~inside].any()


def test_several_runs_are_one_series(lazyvox):
    lazyvox("slice", "run.nii.gz", "..., :10", "-o", "a.nii")
    lazyvox("slice", "run.nii.gz", "..., 10:", "-o", "b.nii.gz")
    assert lazyvox("mean", "a.nii", "b.nii.gz", "-o", "parts.nii").code == 0
    assert lazyvox("mean", "run.nii.gz", "-o", "all.nii").code == 0
    np.testing.assert_allclose(whole("parts.nii"), whole("all.nii"), rtol=1e-6)


def test_npz_has_an_array_for_each_mask_named_after_its_file(lazyvox):
    done = lazyvox(
        "extract", "run.nii.gz", "--mask", "left.nii.gz", "--mask", "right.nii.gz", "-o", "v.npz"
    )
    assert done.code == 0
    assert done.out.splitlines()[0] == "v.npz (left): 40 x 260, float32"
    with np.load("v.npz") as arrays:
        assert sorted(arrays) == ["left", "right"]
        for name in arrays:
            inside = whole(f"{name}.nii.gz") == 1
            np.testing.assert_array_equal(arrays[name], whole("run.nii.gz")[inside].T)


@pytest.mark.parametrize("ending", [".npy", ".tsv", ".csv", ".parquet"])
def test_one_region_set_is_one_file(lazyvox, ending):
    done = lazyvox("extract", "run.nii.gz", "--mask", "left.nii.gz", "-o", f"v{ending}")
    assert (done.code, done.err) == (0, "")
    wanted = whole("run.nii.gz")[whole("left.nii.gz") == 1].T
    if ending == ".npy":
        found = np.load("v.npy")
    elif ending == ".parquet":
        pandas = pytest.importorskip("pandas")
        found = pandas.read_parquet("v.parquet").to_numpy()
    else:
        delimiter = {".tsv": "\t", ".csv": ","}[ending]
        found = np.loadtxt(f"v{ending}", delimiter=delimiter, skiprows=1, dtype=np.float32)
    np.testing.assert_array_equal(found, wanted)


def test_masks_and_atlas_in_one_command_get_a_file_each(lazyvox, folder):
    done = lazyvox(
        "extract", "run.nii.gz", "--mask", "left.nii.gz", "--labels", "atlas.nii.gz",
        "--lut", "atlas.tsv", "-o", "s.tsv",
    )  # fmt: skip
    assert done.code == 0
    assert sorted(path.name for path in folder.glob("s*")) == ["s_atlas.tsv", "s_left.tsv"]
    heading = (folder / "s_atlas.tsv").read_text().splitlines()[0].split("\t")
    assert heading[:2] == ["LeftFront", "RightFront"]


def test_masks_of_the_same_name_are_told_apart_by_their_folder(lazyvox, folder):
    for name in ("s1", "s2"):
        (folder / name).mkdir()
        (folder / name / "roi.nii.gz").write_bytes((folder / "left.nii.gz").read_bytes())
    done = lazyvox(
        "extract", "run.nii.gz", "--mask", "s1/roi.nii.gz", "--mask", "s2/roi.nii.gz",
        "-o", "v.npz",
    )  # fmt: skip
    assert done.code == 0
    with np.load("v.npz") as arrays:
        assert sorted(arrays) == ["s1_roi", "s2_roi"]


@pytest.mark.parametrize("strategy", ["sum", "median", "variance"])
def test_strategy_reduces_the_voxels_of_a_region(lazyvox, strategy):
    lazyvox(
        "extract", "run.nii.gz", "--labels", "atlas.nii.gz", "--strategy", strategy, "-o", "r.npy"
    )
    reduce = {"sum": np.sum, "median": np.median, "variance": np.var}[strategy]
    wanted = reduce(whole("run.nii.gz")[whole("atlas.nii.gz") == 1].astype(float), axis=0)
    np.testing.assert_allclose(np.load("r.npy")[:, 0], wanted, rtol=1e-6)


@pytest.mark.parametrize("form", ["numbers", "heading", "numpy", "booleans"])
def test_sample_mask_keeps_the_volumes_it_names(lazyvox, folder, form):
    keep = [0, 3, 39]
    if form == "numpy":
        np.save("keep.npy", keep)
    elif form == "booleans":
        np.save("keep.npy", np.isin(np.arange(40), keep))
    else:
        lines = [*(["volume"] if form == "heading" else []), *map(str, keep)]
        (folder / "keep.txt").write_text("\n".join(lines) + "\n")
    file = "keep.npy" if form in {"numpy", "booleans"} else "keep.txt"
    done = lazyvox(
        "extract", "run.nii.gz", "--mask", "left.nii.gz", "--sample-mask", file, "-o", "v.npy"
    )
    assert done.code == 0
    wanted = whole("run.nii.gz")[whole("left.nii.gz") == 1].T[keep]
    np.testing.assert_array_equal(np.load("v.npy"), wanted)


@pytest.mark.parametrize(
    ("index", "key", "shape"),
    [
        ("..., 7", np.s_[..., 7], (12, 14, 10)),
        ("[..., 5:20:3]", np.s_[..., 5:20:3], (12, 14, 10, 5)),
        ("-2, :, 3, ...", np.s_[10:11, :, 3:4], (1, 14, 1, 40)),
        ("::2,::-1", np.s_[::2, ::-1], (6, 14, 10, 40)),
    ],
)
def test_slice_is_an_image_of_the_part(lazyvox, index, key, shape):
    done = lazyvox("slice", "run.nii.gz", index, "-o", "part.nii.gz")
    assert (done.code, done.err) == (0, "")
    part = nib.load("part.nii.gz")
    assert part.shape == shape
    np.testing.assert_array_equal(np.asarray(part.dataobj), whole("run.nii.gz")[key])


def test_affine_of_a_slice_is_that_of_the_voxels_it_holds(lazyvox):
    lazyvox("slice", "run.nii.gz", "2:, ::-1", "-o", "part.nii")
    run, part = nib.load("run.nii.gz"), nib.load("part.nii")
    np.testing.assert_allclose(part.affine @ [0, 0, 0, 1], run.affine @ [2, 13, 0, 1])


@pytest.mark.parametrize("index", ["3,4,5", "3,4,5,6", "..., 7", "-1, ::2"])
def test_slice_into_npy_has_the_axes_of_numpy(lazyvox, index):
    done = lazyvox("slice", "run.nii.gz", index, "-o", "part.npy")
    assert done.code == 0
    keys = {"3,4,5": np.s_[3, 4, 5], "3,4,5,6": np.s_[3, 4, 5, 6], "..., 7": np.s_[..., 7]}
    wanted = whole("run.nii.gz")[keys.get(index, np.s_[-1, ::2])]
    np.testing.assert_array_equal(np.load("part.npy"), wanted)
    assert np.load("part.npy").shape == wanted.shape


@pytest.mark.parametrize("name", ["out.nii", "out.nii.zst", "out.hdr", "out.mgz"])
def test_convert_keeps_every_value(lazyvox, name):
    done = lazyvox("convert", "run.nii.gz", name)
    assert (done.code, done.out) == (0, f"{name}: 12 x 14 x 10 x 40, float32\n")
    assert lazyvox("convert", name, "back.nii.gz").code == 0
    np.testing.assert_array_equal(whole("back.nii.gz"), whole("run.nii.gz"))


def test_convert_scales_into_integers_when_asked(lazyvox):
    done = lazyvox("convert", "run.nii.gz", "s.nii.gz", "--dtype", "int16", "--scale", "auto")
    assert done.code == 0
    img = nib.load("s.nii.gz")
    assert img.get_data_dtype() == np.int16
    np.testing.assert_allclose(img.get_fdata(), whole("run.nii.gz"), atol=img.dataobj.slope)
    done = lazyvox("convert", "run.nii.gz", "t.nii", "--dtype", "int16", "--scale", "0.5,100")
    assert (nib.load("t.nii").dataobj.slope, nib.load("t.nii").dataobj.inter) == (0.5, 100)


@pytest.mark.parametrize(
    "argv",
    [["convert", "float.nii", "o.nii"], ["concat", "float.nii", "float.nii", "-o", "o.nii"]],
)
def test_fractions_become_integers_only_where_it_is_said_how(lazyvox, folder, argv):
    values = np.random.default_rng(0).normal(0, 2, (4, 5, 6, 3)).astype("f4")
    nib.save(nib.Nifti1Image(values, np.eye(4)), "float.nii")
    done = lazyvox(*argv, "--dtype", "int16")
    assert done.code == 1
    assert "values that become int16 without scaling must be whole" in done.err
    assert done.err.endswith(
        "Pass --scale auto, --scale SLOPE,INTER, or --scale none to round them.\n"
    )
    assert not (folder / "o.nii").exists()
    if argv[0] == "convert":
        assert lazyvox(*argv, "--dtype", "int16", "--scale", "none").code == 0
        np.testing.assert_array_equal(whole("o.nii"), np.rint(values))


def test_compression_level_changes_the_file_and_no_value(lazyvox, folder):
    lazyvox("convert", "run.nii.gz", "a.nii.gz", "--compresslevel", "0")
    lazyvox("convert", "run.nii.gz", "b.nii.gz", "--compresslevel", "9")
    assert (folder / "a.nii.gz").stat().st_size > 1.5 * (folder / "b.nii.gz").stat().st_size
    np.testing.assert_array_equal(whole("a.nii.gz"), whole("b.nii.gz"))


COMMANDS = {
    "mean": ["mean", "run.nii.gz", "-o", "o.nii"],
    "std": ["std", "run.nii.gz", "-o", "o.nii"],
    "tsnr": ["tsnr", "run.nii.gz", "-o", "o.nii"],
    "slice": ["slice", "run.nii.gz", "..., 39", "-o", "o.nii"],
    "convert": ["convert", "run.nii.gz", "o.nii"],
    "extract": ["extract", "run.nii.gz", "--mask", "left.nii.gz", "-o", "o.npy"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_json_tells_result_plan_time_and_memory(lazyvox, folder, command):
    done = lazyvox(*COMMANDS[command], "--json")
    assert (done.code, done.err) == (0, "")
    record = json.loads(done.out)
    assert record["command"] == command
    assert record["inputs"][0] == str(folder / "run.nii.gz")
    (output,) = record["outputs"]
    assert (folder / output["path"]).is_file()
    assert output["shape"]
    assert np.dtype(output["dtype"])
    assert record["plan"]["passes"] == 1
    assert 0 < record["seconds"] < 60
    assert 0 <= record["increment_bytes"] < record["peak_bytes"]


def test_json_tells_what_the_cache_of_decoded_blocks_did(lazyvox):
    assert lazyvox("index", "run.nii.gz", "--beside", "--quiet").code == 0
    shared_blocks().begin_anew()
    uses = []
    for name in ("a.npy", "b.npy"):
        done = lazyvox("slice", "run.nii.gz", "..., 3", "-o", name, "--json")
        uses.append(json.loads(done.out)["decoded_blocks"])
    assert [(use["hits"], use["misses"]) for use in uses] == [(0, 1), (1, 1)]
    assert uses[1]["n_blocks"] == 1
    assert uses[1]["nbytes"] > 0


@pytest.mark.parametrize("command", COMMANDS)
def test_quiet_prints_nothing(lazyvox, command):
    done = lazyvox(*COMMANDS[command], "--quiet")
    assert (done.code, done.out, done.err) == (0, "", "")


@pytest.mark.parametrize("command", COMMANDS)
def test_explain_reads_no_voxel_and_writes_nothing(lazyvox, folder, command):
    # Whoever reads the volumes now, fails.
    damaged = bytearray((folder / "run.nii.gz").read_bytes())
    damaged[2000:60000] = bytes(58000)
    (folder / "run.nii.gz").write_bytes(damaged)
    before = sorted(folder.iterdir())
    done = lazyvox(*COMMANDS[command], "--explain")
    assert (done.code, done.err) == (0, "")
    assert "predicted above the imports" in done.out
    plan = json.loads(lazyvox(*COMMANDS[command], "--explain", "--json").out)["plan"]
    assert plan["peak_bytes"] > plan["block_bytes"] > 0
    assert sorted(folder.iterdir()) == before
    assert lazyvox(*COMMANDS[command]).code == 1
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize("command", ["mean", "extract", "slice"])
def test_explain_needs_no_output(lazyvox, command):
    argv = COMMANDS[command][: COMMANDS[command].index("-o")]
    assert "passes     1\n" in lazyvox(*argv, "--explain").out


def test_memory_and_jobs_come_from_the_environment_too(lazyvox, monkeypatch):
    monkeypatch.setenv("LAZYVOX_MEMORY", "100MiB")
    assert "budget     100.0 MiB" in lazyvox("mean", "run.nii.gz", "--explain").out
    assert (
        "budget     50.0 MiB"
        in lazyvox("mean", "run.nii.gz", "--explain", "--memory", "50MiB").out
    )
    monkeypatch.setenv("LAZYVOX_JOBS", "0")
    assert "must not be 0" in lazyvox("mean", "run.nii.gz", "--explain").err


def test_overwrite_replaces_an_output(lazyvox, folder):
    (folder / "o.nii").write_text("old")
    assert lazyvox("mean", "run.nii.gz", "-o", "o.nii", "--overwrite").code == 0
    assert nib.load("o.nii").shape == (12, 14, 10)


def test_real_run_gives_what_numpy_gives(lazyvox, real_data):
    run = real_data / "haxby2001_sub001_run001_25mm_bold.nii.gz"
    mask = real_data / "haxby2001_sub001_25mm_vt.nii.gz"
    done = lazyvox("extract", run, "--mask", mask, "-o", "v.npy")
    assert (done.code, done.err) == (0, "")
    np.testing.assert_array_equal(np.load("v.npy"), whole(run)[whole(mask) != 0].T)


@pytest.mark.parametrize("command", ["mean", "concat"])
def test_commands_agree_on_what_is_one_grid(lazyvox, command):
    img = nib.load("run.nii.gz")
    for name, by in (("near.nii", 1e-6), ("far.nii", 1e-2)):
        affine = img.affine.copy()
        affine[0, 1] += by
        nib.Nifti1Image(np.asarray(img.dataobj), affine, img.header).to_filename(name)
    assert lazyvox(command, "run.nii.gz", "near.nii", "-o", "out.nii").code == 0
    refused = lazyvox(command, "run.nii.gz", "far.nii", "-o", "other.nii")
    assert refused.code == 1
    assert "must share one voxel grid" in refused.err
    assert "far.nii) has shape" in refused.err
