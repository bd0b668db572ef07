"""The header of each input is parsed once in a call or command: of runs, atlases, masks, maps."""

from collections import Counter
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import lazyvox as lv
from lazyvox.cli.main import run
from lazyvox.image import clean_img, concat_imgs, math_img, new_img_like, smooth_img
from lazyvox.lazyimage import opening
from lazyvox.maskers import (
    MultiNiftiLabelsMasker,
    MultiNiftiMapsMasker,
    MultiNiftiMasker,
    NiftiLabelsMasker,
    NiftiMapsMasker,
    NiftiMasker,
    NiftiSpheresMasker,
    transform_all,
)


@pytest.fixture
def files(example_folder, monkeypatch):
    """Make the folder with the example images, a second run and maps among them, the current one."""
    monkeypatch.chdir(example_folder)
    img = lv.load("run.nii.gz")
    lv.save(img, "second.nii.gz", dtype="float32")
    masks = [np.asarray(lv.load(name).dataobj) for name in ("left.nii.gz", "right.nii.gz")]
    lv.save(new_img_like(img, np.stack(masks, axis=-1).astype(np.float32)), "maps.nii.gz")
    Path("seeds.tsv").write_text("x\ty\tz\n-8\t0\t0\n8\t0\t0\n")
    return example_folder


@pytest.fixture
def opened(files, monkeypatch):
    """Count how often the header of each file is parsed."""
    counts = Counter()
    parse = opening.read_image_file

    def counting(path):
        counts[Path(path).name] += 1
        return parse(path)

    monkeypatch.setattr(opening, "read_image_file", counting)
    return counts


REGIONS = {
    "labels": ("atlas.nii.gz", ["--labels", "atlas.nii.gz"]),
    "mask": ("mask.nii.gz", ["--mask", "mask.nii.gz"]),
    "maps": ("maps.nii.gz", ["--maps", "maps.nii.gz"]),
    "seeds": ("seeds.tsv", ["--seeds", "seeds.tsv", "--radius", "5"]),
}
OPTIONS = {
    "plain": ({}, []),
    "smoothed": ({"smoothing_fwhm": 4}, ["--smoothing-fwhm", "4"]),
    "cleaned": ({"detrend": True}, ["--detrend"]),
    "smoothed and cleaned": (
        {"smoothing_fwhm": 4, "standardize": "psc"},
        ["--smoothing-fwhm", "4", "--standardize", "psc"],
    ),
    "some volumes": (
        {"sample_mask": [*range(9), *range(31, 40)], "detrend": True},
        ["--sample-mask", "kept.txt", "--detrend"],
    ),
}
RUNS = {"one run": ["run.nii.gz"], "two runs": ["run.nii.gz", "second.nii.gz"]}


def assert_once(opened, *names):
    images = [name for name in names if not name.endswith(".tsv")]
    assert dict(opened) == dict.fromkeys(images, 1)


@pytest.mark.parametrize("runs", RUNS.values(), ids=RUNS)
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("regions", REGIONS.values(), ids=REGIONS)
class TestExtract:
    def test_in_python(self, opened, regions, options, runs):
        radius = {"radius": 5} if regions[0] == "seeds.tsv" else {}
        kept = {"runs": "joined"} if "sample_mask" in options[0] else {}
        lv.extract(runs, regions[0], **radius, **kept, **options[0])
        assert_once(opened, regions[0], *runs)

    def test_on_the_command_line(self, opened, regions, options, runs):
        Path("kept.txt").write_text("\n".join(map(str, range(9))))
        if len(runs) > 1 and "--sample-mask" in options[1]:
            Path("kept.txt").write_text("\n".join(map(str, [*range(9), *range(50, 60)])))
        arguments = [*runs, *regions[1], *options[1], "-o", "out.tsv", "--quiet", "--overwrite"]
        assert run(["extract", *arguments]) == 0
        assert_once(opened, regions[0], *runs)


@pytest.mark.parametrize("report", [["--explain"], ["--json", "--inverse", "back.nii.gz"]])
def test_a_plan_and_an_image_of_signals_open_nothing_again(opened, report, capsys):
    arguments = ["run.nii.gz", "--labels", "atlas.nii.gz", "--mask-img", "mask.nii.gz", *report]
    assert run(["extract", *arguments, "-o", "out.tsv", "--overwrite"]) == 0
    capsys.readouterr()
    assert_once(opened, "run.nii.gz", "atlas.nii.gz", "mask.nii.gz")


MASKERS = {
    "mask": (NiftiMasker, "mask_img", "mask.nii.gz", {}),
    "labels": (NiftiLabelsMasker, "labels_img", "atlas.nii.gz", {}),
    "maps": (NiftiMapsMasker, "maps_img", "maps.nii.gz", {}),
    "spheres": (NiftiSpheresMasker, "seeds", [(-8, 0, 0), (8, 0, 0)], {"radius": 5}),
    "multi mask": (MultiNiftiMasker, "mask_img", "mask.nii.gz", {}),
    "multi labels": (MultiNiftiLabelsMasker, "labels_img", "atlas.nii.gz", {}),
    "multi maps": (MultiNiftiMapsMasker, "maps_img", "maps.nii.gz", {}),
}
PREPARED = {
    "plain": {},
    "smoothed": {"smoothing_fwhm": 4},
    "cleaned": {"detrend": True, "high_variance_confounds": True},
}


def masker_of(kind, **options):
    """Return a masker, and the files that its regions are in."""
    masker_class, parameter, regions, more = kind
    masker = masker_class(**{parameter: regions, "standardize": None, **more, **options})
    return masker, [regions] if isinstance(regions, str) else []


@pytest.mark.parametrize("kind", MASKERS.values(), ids=MASKERS)
class TestMaskers:
    @pytest.mark.parametrize("options", PREPARED.values(), ids=PREPARED)
    def test_fit_transform(self, opened, kind, options):
        masker, regions = masker_of(kind, **options)
        masker.fit_transform("run.nii.gz")
        assert_once(opened, "run.nii.gz", *regions)

    @pytest.mark.parametrize("options", PREPARED.values(), ids=PREPARED)
    def test_transform(self, opened, kind, options):
        masker, _ = masker_of(kind, **options)
        masker.fit()
        opened.clear()
        masker.transform("run.nii.gz")
        assert_once(opened, "run.nii.gz")

    def test_a_mask(self, opened, kind):
        masker, regions = masker_of(kind, mask_img="mask.nii.gz")
        masker.fit_transform("run.nii.gz")
        assert_once(opened, "run.nii.gz", "mask.nii.gz", *regions)

    def test_a_list_of_volumes(self, opened, kind):
        masker, regions = masker_of(kind)
        masker.fit_transform(["left.nii.gz", "right.nii.gz"])
        assert_once(opened, "left.nii.gz", "right.nii.gz", *regions)

    def test_a_cache(self, opened, kind, tmp_path):
        masker, regions = masker_of(kind, memory=str(tmp_path / "cache"), memory_level=1)
        masker.fit_transform("run.nii.gz")
        assert_once(opened, "run.nii.gz", *regions)


def test_a_masker_that_computes_its_mask(opened):
    NiftiMasker(standardize=None).fit_transform("run.nii.gz")
    assert_once(opened, "run.nii.gz")


def test_several_subjects(opened):
    masker = MultiNiftiLabelsMasker("atlas.nii.gz", standardize=None, n_jobs=2)
    masker.fit_transform(["run.nii.gz", "second.nii.gz"])
    assert_once(opened, "run.nii.gz", "second.nii.gz", "atlas.nii.gz")


def test_several_maskers(opened):
    one = NiftiMasker("mask.nii.gz", standardize=None, smoothing_fwhm=4).fit()
    other = NiftiLabelsMasker("atlas.nii.gz", standardize=None).fit()
    opened.clear()
    transform_all("run.nii.gz", [one, other])
    assert_once(opened, "run.nii.gz")


@pytest.mark.parametrize("kind", ["fourier", "butterworth"])
def test_seed_maps(opened, kind):
    lv.seed_map("run.nii.gz", ["atlas.nii.gz", "left.nii.gz"], high_pass=0.02, filter=kind)
    assert_once(opened, "run.nii.gz", "atlas.nii.gz", "left.nii.gz")


def test_a_run_that_is_cleaned_and_saved(opened):
    lv.save(clean_img("run.nii.gz", standardize=None), "cleaned.nii.gz")
    assert_once(opened, "run.nii.gz")


def test_a_run_that_is_cleaned_in_a_mask_and_saved(opened):
    lv.save(clean_img("run.nii.gz", standardize=None, mask_img="mask.nii.gz"), "cleaned.nii.gz")
    assert_once(opened, "run.nii.gz", "mask.nii.gz")


def test_an_expression_of_two_files(opened):
    lv.save(math_img("a + 2 * b", a="run.nii.gz", b="second.nii.gz"), "sum.nii.gz")
    assert_once(opened, "run.nii.gz", "second.nii.gz")


def test_operators_on_two_files(opened):
    lv.save(lv.load("run.nii.gz") + 2 * lv.load("second.nii.gz"), "sum.nii.gz")
    assert_once(opened, "run.nii.gz", "second.nii.gz")


def test_images_that_are_smoothed_or_joined_and_saved(opened):
    lv.save(smooth_img("run.nii.gz", 4), "smooth.nii.gz")
    lv.save(concat_imgs(["left.nii.gz", "right.nii.gz"]), "joined.nii.gz")
    assert_once(opened, "run.nii.gz", "left.nii.gz", "right.nii.gz")


COMMANDS = {
    "mean": ["mean", "run.nii.gz", "second.nii.gz", "-o", "out.nii.gz"],
    "std": ["std", "run.nii.gz", "-o", "out.nii.gz"],
    "tsnr": ["tsnr", "run.nii.gz", "-o", "out.nii.gz"],
    "tstat": [
        "tstat",
        "run.nii.gz",
        "second.nii.gz",
        "--median",
        "out.nii.gz",
        "--mask",
        "mask.nii.gz",
    ],
    "stats": ["stats", "run.nii.gz", "second.nii.gz", "--labels", "atlas.nii.gz", "-o", "out.tsv"],
    "qc": ["qc", "run.nii.gz", "--mask", "mask.nii.gz", "-o", "out.tsv"],
    "seedmap": [
        "seedmap",
        "run.nii.gz",
        "second.nii.gz",
        "--labels",
        "atlas.nii.gz",
        "--mask-img",
        "mask.nii.gz",
        "-o",
        "out.nii.gz",
    ],
    "slice": ["slice", "run.nii.gz", "..., 3", "-o", "out.nii.gz"],
    "slice to an array": ["slice", "run.nii.gz", "..., 3", "-o", "out.npy"],
    "concat": ["concat", "run.nii.gz", "second.nii.gz", "-o", "out.nii.gz"],
    "convert": ["convert", "run.nii.gz", "out.nii.gz"],
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_commands(opened, command, capsys):
    assert run([*command, "--json", "--overwrite"]) == 0
    capsys.readouterr()
    files = {"run.nii.gz", "second.nii.gz", "mask.nii.gz", "atlas.nii.gz"}
    inputs = {argument for argument in command if argument in files}
    assert {name: opened[name] for name in inputs} == dict.fromkeys(inputs, 1)


@pytest.fixture
def prepared(files, monkeypatch):
    """Count the passes that are prepared."""
    found = []
    scan = import_module("lazyvox.stream.scan")
    prepare = scan.prepare_pass

    def counting(*args, **options):
        found.append(prepare(*args, **options))
        return found[-1]

    monkeypatch.setattr(scan, "prepare_pass", counting)
    return found


@pytest.mark.parametrize("more", [[], ["--json"], ["--explain"], ["--smoothing-fwhm", "4"]])
def test_a_command_prepares_its_pass_once(prepared, more, capsys):
    arguments = ["extract", "run.nii.gz", "--labels", "atlas.nii.gz", "--detrend", *more]
    assert run([*arguments, "-o", "out.tsv"]) == 0
    capsys.readouterr()
    assert len(prepared) == 1


@pytest.mark.parametrize("command", ["tstat", "stats", "qc", "seedmap"])
def test_a_table_or_map_prepares_its_passes_once(prepared, command, capsys):
    arguments = COMMANDS[command]
    assert run([*arguments, "--json", "--overwrite"]) == 0
    capsys.readouterr()
    assert len(prepared) == (2 if command == "stats" else 1)


@pytest.mark.parametrize("kind", MASKERS.values(), ids=MASKERS)
def test_a_transform_prepares_its_pass_once(prepared, kind):
    masker, _ = masker_of(kind, smoothing_fwhm=4, detrend=True)
    masker.fit()
    prepared.clear()
    masker.transform("run.nii.gz")
    assert len(prepared) == 1


def test_an_extraction_prepares_its_pass_once(prepared):
    lv.extract("run.nii.gz", "atlas.nii.gz", detrend=True)
    assert len(prepared) == 1


@pytest.mark.parametrize("more", [[], ["--json"], ["--explain"]], ids=str)
@pytest.mark.parametrize(
    "command",
    [
        ["convert", "run.nii.gz", "out.nii.gz"],
        ["concat", "run.nii.gz", "-o", "out.nii.gz"],
        ["slice", "run.nii.gz", "..., :3", "-o", "out.nii.gz"],
    ],
    ids=lambda command: command[0],
)
def test_a_command_prepares_its_save_once(files, monkeypatch, command, more, capsys):
    save = import_module("lazyvox.lazyimage.save")
    plans, make = [], save.plan_passes

    def counting(*args, **options):
        plans.append(make(*args, **options))
        return plans[-1]

    monkeypatch.setattr(save, "plan_passes", counting)
    assert run([*command, *more]) == 0
    capsys.readouterr()
    assert len(plans) == 1
