"""Run the examples of one document, given as JSON on standard input, in the current folder.

A program of its own, started by test_docs.py: what a document imports, warns about or leaves
running cannot reach another test.
"""

import contextlib
import doctest
import io
import json
import shlex
import sys
import warnings

from lazyvox.cli.main import run


def run_python(document: str, line: int, code: str, names: dict[str, object]) -> None:
    """Execute a fence; one with prompts has its printed values compared."""
    if ">>>" not in code:
        # Empty lines in front: a traceback then shows line numbers of the document.
        exec(compile("\n" * line + code, document, "exec"), names)
        return
    example = doctest.DocTestParser().get_doctest(code, names, document, document, line)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    result = runner.run(example, clear_globs=False)
    names.update(example.globs)
    if result.failed:
        sys.exit(1)


def run_command(document: str, line: int, command: str) -> None:
    """Run a `lazyvox` command in this process; only exit code 0 is good."""
    shown = io.StringIO()
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(shown),
        contextlib.redirect_stderr(shown),
    ):
        warnings.simplefilter("default")
        code = run(shlex.split(command)[1:])
    if code:
        sys.exit(
            f"{document}, line {line}: `{command}` ended with exit code {code}.\n"
            f"{shown.getvalue()}"
        )


def main() -> None:
    """Run all steps in the order of the document, in one namespace."""
    job = json.load(sys.stdin)
    names: dict[str, object] = {"__name__": "__main__"}
    for step in job["steps"]:
        if step["kind"] == "python":
            run_python(job["document"], step["line"], step["text"], names)
        else:
            run_command(job["document"], step["line"], step["text"])


if __name__ == "__main__":
    main()
