"""Importing maskers, and scikit-learn with them, leaves other modules as they are."""

import subprocess
import sys

import pytest

CODE = """
import sys, threading

seen = set()

class Watch:
    def find_spec(self, name, path=None, target=None):
        seen.update(type(module) for name, module in list(sys.modules.items())
                    if name.split(".")[0] in {"pandas", "scipy"})

sys.meta_path.insert(0, Watch())
import lazyvox.maskers
from lazyvox.maskers import NiftiMasker
from sklearn.utils import fixes
assert seen <= {type(sys), type(fixes)} | {type(sys.modules["scipy"])}, seen
import pandas, scipy.stats
assert type(pandas) is type(scipy.stats) is type(sys)
masker = NiftiMasker("mask.nii.gz", standardize=None).set_output(transform="pandas")
assert isinstance(masker.fit_transform("run.nii.gz"), pandas.DataFrame)
"""


@pytest.mark.parametrize(
    "before", ["", pytest.param("import pandas, scipy.stats\n", marks=pytest.mark.slow)]
)
def test_no_module_stands_in_for_another_at_any_time(example_folder, before):
    done = subprocess.run(
        [sys.executable, "-c", before + CODE],
        cwd=example_folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
