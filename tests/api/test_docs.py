"""Every fenced block of the documents runs, or says why not.

```python            runs, in one namespace per document; printed values behind >>> are compared
```console           each line `$ lazyvox ...` runs and must succeed; its output is illustrative
```text, toml, none  is not code; nor is a directive of Sphinx, such as {toctree}
<!-- skip: why -->   on the line above excuses a block
"""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
        *(ROOT / "benchmarks").glob("*.md"),
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / "docs" / "api").glob("*.md"),
        *(ROOT / "docs" / "guide").rglob("*.md"),
    )
)
# Directives of Sphinx may have an argument.
OPENING = re.compile(
    r"(?P<indent>\s*)(?P<ticks>`{3,}|~{3,})\s*(?P<language>\{\w+\}(?= )|\S*)(?: .*)?"
)
SKIP = re.compile(r"\s*<!-- skip: \S.* -->\s*")
NOT_CODE = {"none", "text", "toml"}
DIRECTIVES = {"{include}", "{toctree}"}


@dataclass(frozen=True, slots=True)
class Fence:
    """A fenced block: `line` is the number of its opening line, counted from 1."""

    line: int
    language: str
    is_skipped: bool
    text: str


def find_fences(document: str) -> list[Fence]:
    fences = []
    lines = document.splitlines()
    at = 0
    while at < len(lines):
        opening = OPENING.fullmatch(lines[at])
        if opening is None:
            at += 1
            continue
        ticks, indent = opening["ticks"], len(opening["indent"])
        closing = next((n for n in range(at + 1, len(lines)) if lines[n].strip() == ticks), None)
        if closing is None:
            pytest.fail(f"line {at + 1}: the fence is never closed")
        text = "".join(f"{line[indent:]}\n" for line in lines[at + 1 : closing])
        is_skipped = at > 0 and SKIP.fullmatch(lines[at - 1]) is not None
        fences.append(Fence(at + 1, opening["language"], is_skipped, text))
        at = closing + 1
    return fences


def find_commands(fence: Fence) -> list[dict[str, object]]:
    steps = []
    joined = fence.text.replace("\\\n", " ")
    for line in joined.splitlines():
        if not line.startswith("$ "):
            continue
        command = line.removeprefix("$ ").strip()
        if not command.startswith("lazyvox "):
            pytest.fail(f"line {fence.line}: only `lazyvox` commands can be run, not `{command}`")
        steps.append({"kind": "console", "line": fence.line, "text": command})
    if not steps:
        pytest.fail(f"line {fence.line}: a console block must hold a line `$ lazyvox ...`")
    return steps


def find_steps(document: str) -> list[dict[str, object]]:
    steps: list[dict[str, object]] = []
    for fence in find_fences(document):
        if fence.is_skipped or fence.language in NOT_CODE | DIRECTIVES:
            continue
        if fence.language == "python":
            steps.append({"kind": "python", "line": fence.line, "text": fence.text})
        elif fence.language == "console":
            steps += find_commands(fence)
        else:
            pytest.fail(
                f"line {fence.line}: a fence is python, console, text, toml or none, or has "
                f"`<!-- skip: reason -->` above it. Got {fence.language!r}."
            )
    return steps


def run_document(
    name: str, text: str, folder: Path, strict: list[str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *strict, str(Path(__file__).with_name("run_fences.py"))],
        input=json.dumps({"document": name, "steps": find_steps(text)}),
        cwd=folder,
        env={**os.environ, "MPLBACKEND": "Agg"},
        check=False,
        capture_output=True,
        text=True,
        timeout=110,
    )


@pytest.mark.parametrize("name", DOCUMENTS)
def test_examples_of_document_run(name, example_folder, strict):
    text = (ROOT / name).read_text(encoding="utf-8")
    if not find_steps(text):
        return
    # The run of `lazyvox demo`, beside the folder of its results.
    demo_run = example_folder.parent / "run-v1-840volumes.nii.gz"
    demo_run.hardlink_to(example_folder / "run.nii.gz")
    done = run_document(name, text, example_folder, strict)
    assert done.returncode == 0, f"{name}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_between_documents_lead_somewhere(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    # Pages that Sphinx generates; `make docs-browser` follows links to them.
    made = r"https?:|#|mailto:|generated/|examples/"
    targets = re.findall(rf"\]\((?!{made})([^)#\s]+)", text)
    missing = [target for target in targets if not ((ROOT / name).parent / target).exists()]
    assert missing == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_places_in_the_project_that_a_document_names_exist(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    places = re.findall(r"`((?:src|tests|benchmarks|docs|tools)/[\w./-]*)`", text)
    made = {"docs/_build/html", "docs/_build/screenshots", "docs/measured", "benchmarks/results/"}
    assert [one for one in places if not (ROOT / one).exists() and one not in made] == []


@pytest.mark.parametrize("language", ["", "py", "sh", "bash"])
def test_undeclared_fence_is_refused(language):
    with pytest.raises(pytest.fail.Exception, match="a fence is python, console, text"):
        find_steps(f"```{language}\nx\n```\n")


def test_open_fence_is_refused():
    with pytest.raises(pytest.fail.Exception, match="line 1: the fence is never closed"):
        find_steps("```python\nx = 1\n")


def test_command_of_another_program_is_refused():
    with pytest.raises(pytest.fail.Exception, match="only `lazyvox` commands can be run"):
        find_steps("```console\n$ rm -rf x\n```\n")


def test_skipped_and_inert_fences_do_not_run():
    assert find_steps("<!-- skip: builds -->\n```console\n$ make\n```\n```text\nx\n```\n") == []


def test_continued_command_is_one_command():
    (step,) = find_steps("```console\n$ lazyvox mean a.nii \\\n    -o b.nii\nwritten\n```\n")
    assert str(step["text"]).split() == ["lazyvox", "mean", "a.nii", "-o", "b.nii"]


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ("```python\n1 / 0\n```\n", 'File "page.md", line 2'),
        ("```python\n>>> 1 + 1\n3\n```\n", "Expected:\n    3\nGot:\n    2"),
        ("```console\n$ lazyvox no-such-command\n```\n", "ended with exit code 2"),
        ("```python\nimport warnings\nwarnings.warn('old')\n```\n", "UserWarning: old"),
    ],
    ids=["exception", "wrong value", "failed command", "warning"],
)
def test_broken_example_is_noticed(document, complaint, tmp_path, strict):
    done = run_document("page.md", document, tmp_path, strict)
    assert done.returncode != 0
    assert complaint in done.stdout + done.stderr


def test_fences_of_one_document_share_names(tmp_path, strict):
    document = (
        "```python\nx = 1\n```\n```python\n>>> y = x + 1\n```\n```python\nassert y == 2\n```\n"
    )
    done = run_document("page.md", document, tmp_path, strict)
    assert done.returncode == 0, done.stderr


def test_directives_of_the_site_are_not_code():
    assert find_steps("```{toctree}\npage\n```\n```{include} ../table.md\n```\n") == []


def test_the_architecture_names_files_that_exist():
    text = (ROOT / "docs" / "architecture.md").read_text()
    named = set(re.findall(r"`((?:[a-z_]+/)+[a-z_]*(?:\.py|\.md)?)`", text))
    places = (ROOT / "src" / "lazyvox", ROOT, ROOT / "docs")
    missing = {name for name in named if not any((place / name).exists() for place in places)}
    assert len(named) > 100
    assert not missing
