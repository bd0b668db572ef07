"""Run nilearn's own tests with lazyvox in the place of nilearn, and say what passes.

    python tests/equivalence/nilearn_suite.py [--only PART_OF_NAME] [-- pytest options]

The installed nilearn brings its tests. Each of its test modules below is rewritten: every name that
it imports from nilearn and that lazyvox has too is imported from lazyvox. Texts of messages are
not compared (`match=` is taken away), as ours are others; types of errors and warnings are. What
fails must be explained in nilearn_failures.toml, which holds patterns of test names and reasons.
"""

import argparse
import ast
import fnmatch
import importlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
import xml.etree.ElementTree as ET
from dataclasses import asdict, dataclass
from pathlib import Path

MODULES = (
    "image/tests/test_image.py",
    "image/tests/test_resampling.py",
    "tests/test_signal.py",
    "tests/test_masking.py",
    "maskers/tests/test_masker_validation.py",
    "maskers/tests/test_nifti_masker.py",
    "maskers/tests/test_nifti_labels_masker.py",
    "maskers/tests/test_nifti_maps_masker.py",
    "maskers/tests/test_nifti_spheres_masker.py",
    "maskers/tests/test_multi_nifti_masker.py",
    "maskers/tests/test_multi_nifti_labels_masker.py",
    "maskers/tests/test_multi_nifti_maps_masker.py",
    "maskers/tests/test_html_report.py",
    "glm/tests/test_first_level.py",
    "glm/tests/test_glm_reporter.py",
    "glm/tests/test_io.py",
)

#: Files that the tests find from their own place.
DATA = ("glm/tests/spm_dmtx.npz",)

#: Where lazyvox has the names of a package of nilearn.
REPLACED = {
    "nilearn.glm.first_level": "lazyvox.glm",
    "nilearn.image": "lazyvox.image",
    "nilearn.maskers": "lazyvox.maskers",
    "nilearn.masking": "lazyvox.masking",
    "nilearn.signal": "lazyvox.signal",
}

#: Texts of messages are not compared: ours are others. What asks whether a masker is one of
#: nilearn's classes asks for ours.
IN_PLACE = """
import functools, pytest
import lazyvox.maskers
from lazyvox.maskers.multi_mixin import MultiMasker
from nilearn._utils import estimator_checks

def without_match(check):
    @functools.wraps(check)
    def checked(*args, match=None, **kwargs):
        return check(*args, **kwargs)
    return checked

pytest.raises, pytest.warns = without_match(pytest.raises), without_match(pytest.warns)
for name in lazyvox.maskers.__all__:
    if hasattr(estimator_checks, name):
        setattr(estimator_checks, name, getattr(lazyvox.maskers, name))
estimator_checks._MultiMixin = MultiMasker
estimator_checks.DimensionError = TypeError
"""

FAILURES = Path(__file__).with_name("nilearn_failures.toml")


@dataclass(frozen=True)
class Outcome:
    """Result of one test: "passed", "failed" or "skipped", and the message."""

    module: str
    name: str
    state: str
    message: str = ""


class Replace(ast.NodeTransformer):
    """Import what lazyvox has from lazyvox."""

    def visit_ImportFrom(self, node):
        """Split an import in what lazyvox has and what it has not."""
        if node.module == "nilearn.exceptions":
            return [self._builtin(alias.name) for alias in node.names]
        target = next((ours for name, ours in REPLACED.items() if in_package(node, name)), None)
        if target is None or ".tests" in node.module:
            return node
        module = importlib.import_module(target)
        ours = [alias for alias in node.names if hasattr(module, alias.name)]
        theirs = [alias for alias in node.names if not hasattr(module, alias.name)]
        parts = [(target, ours), (node.module, theirs)]
        return [ast.ImportFrom(name, names, 0) for name, names in parts if names]

    @staticmethod
    def _builtin(name):
        """Return the assignment that puts the built-in base in the place of a class of nilearn's.

        Our errors and warnings share these bases, not the classes.
        """
        own = getattr(importlib.import_module("nilearn.exceptions"), name)
        base = next(one for one in own.__mro__ if one.__module__ == "builtins")
        return ast.parse(f"{name} = {base.__name__}").body[0]


def in_package(node, name):
    """Return whether an import takes from a package or one of its modules."""
    return f"{node.module or ''}.".startswith(f"{name}.")


def rewrite(source, target):
    """Write a test module of nilearn as one of lazyvox."""
    tree = ast.fix_missing_locations(Replace().visit(ast.parse(source.read_text())))
    target.write_text(ast.unparse(tree))


def prepare(folder, only):
    """Put the rewritten modules, each in a folder with its fixtures, into `folder`."""
    spec = importlib.util.find_spec("nilearn")
    root = Path(spec.submodule_search_locations[0])
    chosen = [module for module in MODULES if only in module]
    (folder / "in_place.py").write_text(IN_PLACE)
    for data in DATA:
        (folder / data).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / data, folder / data)
    for module in chosen:
        source = root / module
        package = folder / source.parent.relative_to(root)
        package.mkdir(parents=True, exist_ok=True)
        fixtures = source.with_name("conftest.py")
        if fixtures.exists():
            rewrite(fixtures, package / "conftest.py")
        rewrite(source, package / source.name)
        if source.with_name("data").is_dir():
            shutil.copytree(source.with_name("data"), package / "data", dirs_exist_ok=True)
    return chosen


def run(only="", options=()):
    """Run the tests in a process of their own; return one outcome per test."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, only)
        report = folder / "report.xml"
        command = [
            *(sys.executable, "-m", "pytest", "-q", "-p", "in_place"),
            *(
                "-p",
                "nilearn.conftest",
                "-p",
                "no:cacheprovider",
                "--import-mode=importlib",
                "-c",
                "/dev/null",
            ),
            *("--rootdir", name, f"--junit-xml={report}", *options, name),
        ]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([name, *sys.path[1:]])}
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=environment
        )
        if not report.exists():
            msg = f"pytest wrote no report:\n{done.stdout}\n{done.stderr}"
            raise RuntimeError(msg)
        return [outcome_of(case) for case in ET.parse(report).iter("testcase")]


def outcome_of(case):
    """Return the outcome of an element of a JUnit report."""
    module = case.get("classname").split(".")[-1]
    for kind, state in (("failure", "failed"), ("error", "failed"), ("skipped", "skipped")):
        found = case.find(kind)
        if found is not None:
            message = found.get("message") or ""
            return Outcome(module, case.get("name"), state, message.splitlines()[0][:300])
    return Outcome(module, case.get("name"), "passed")


def explanations(path=FAILURES):
    """Return the failures that are explained: patterns of "module::test" or of messages, reasons."""
    return tomllib.loads(path.read_text())["failure"]


def reason_for(outcome, explained):
    """Return the known reason of a failure, or None."""
    identity = f"{outcome.module}::{outcome.name}"
    for entry in explained:
        # Brackets are part of test names, not of patterns.
        name = entry.get("test", "*").replace("[", "[[]")
        message = entry.get("message", "*").replace("[", "[[]")
        if fnmatch.fnmatchcase(identity, name) and fnmatch.fnmatchcase(outcome.message, message):
            return entry["reason"]
    return None


def summary(outcomes):
    """Return, per module, how many tests passed, failed and were skipped."""
    counts = {}
    for outcome in outcomes:
        row = counts.setdefault(outcome.module, {"passed": 0, "failed": 0, "skipped": 0})
        row[outcome.state] += 1
    return counts


def main():
    """Run, print the table and what is not explained."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="part of a module's path")
    parser.add_argument("--json", type=Path, help="file for all outcomes")
    arguments, options = parser.parse_known_args()
    outcomes = run(arguments.only, [one for one in options if one != "--"])
    explained = explanations()
    for module, row in summary(outcomes).items():
        print(f"{module:40} {row['passed']:5} passed {row['failed']:4} failed")
    failed = [outcome for outcome in outcomes if outcome.state == "failed"]
    open_ones = [one for one in failed if reason_for(one, explained) is None]
    for one in open_ones:
        print(f"not explained: {one.module}::{one.name}\n    {one.message}")
    print(f"{len(failed)} failures, {len(open_ones)} of them not explained")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps([asdict(one) for one in outcomes], indent=1))
    return bool(open_ones)


if __name__ == "__main__":
    sys.exit(main())
