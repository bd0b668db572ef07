"""Importing scikit-learn without what maskers do not need of it."""

import subprocess
import sys

CODE = """
import sys, lazyvox.maskers
assert not {"pandas", "scipy.stats"} & set(sys.modules), "imported for nothing"
from sklearn.utils import fixes
assert fixes.pd.Series([1, 2]).sum() == 3
assert fixes._mode([1, 1, 2], axis=0)[0] == 1
import pandas, scipy.stats
assert type(pandas) is type(scipy.stats) is type(sys)
assert scipy.stats.norm.cdf(0) == 0.5
masker = lazyvox.maskers.NiftiMasker("mask.nii.gz", standardize=None).set_output(transform="pandas")
assert isinstance(masker.fit_transform("run.nii.gz"), pandas.DataFrame)
"""


def run(code, folder):
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_pandas_and_statistics_are_imported_on_first_use(example_folder):
    run(CODE, example_folder)


def test_what_is_imported_already_stays(example_folder):
    run(
        "import pandas, scipy.stats, sys; one = pandas\n"
        + CODE.replace(
            'assert not {"pandas", "scipy.stats"} & set(sys.modules), "imported for nothing"',
            'assert sys.modules["pandas"] is one',
        ),
        example_folder,
    )
