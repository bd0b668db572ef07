"""No option is given twice in vain, in any command."""

import click
import pytest

from lazyvox.cli.main import program


def commands(group, *words):
    """Return each command with the words that name it."""
    with click.Context(group) as ctx:
        for name in group.list_commands(ctx):
            command = group.get_command(ctx, name)
            if isinstance(command, click.Group):
                if default := getattr(command, "default", None):
                    yield default, (*words, name)
                yield from commands(command, *words, name)
            else:
                yield command, (*words, name)


COMMANDS = [(words, command) for command, words in commands(program)]
OPTIONS = [
    (words, option)
    for words, command in COMMANDS
    for option in command.params
    if isinstance(option, click.Option)
]
IDS = [f"{' '.join(words)} {max(option.opts, key=len)}" for words, option in OPTIONS]


def value_of(option):
    """Return what an option may hold, as words."""
    if isinstance(option.type, click.Choice):
        return [str(option.type.choices[0])]
    return ["1"]


def spellings(option):
    """Return two ways of giving an option, of which one would be dropped."""
    if option.secondary_opts:
        return [option.opts[0]], [option.secondary_opts[0]]
    if option.is_flag:
        return [option.opts[0]], [option.opts[0]]
    return [option.opts[0], *value_of(option)], [option.opts[-1], *value_of(option)]


@pytest.mark.parametrize(("words", "option"), OPTIONS, ids=IDS)
def test_an_option_is_kept_each_time_or_refused(lazyvox, words, option):
    name = max(option.opts, key=len)
    command = next(command for found, command in COMMANDS if found == words)
    arguments = ["nothing.nii"] * sum(isinstance(one, click.Argument) for one in command.params)
    if words == ("demo",) and name != "--file":
        # Without a file that is missing it would make a run, and go to its end.
        arguments = ["--file", "nothing.nii"]
    first, second = spellings(option)
    done = lazyvox(*words, *arguments, *first, *second)
    is_refused = f"{name}" in done.err and "must be given once. Got it twice" in done.err
    is_idle_flag = option.is_flag and not option.secondary_opts
    assert is_refused is not (option.multiple or is_idle_flag)
    if is_refused:
        assert done.code == 2


def test_what_is_refused_is_named(lazyvox, folder):
    done = lazyvox("mean", "run.nii.gz", "-o", "a.nii", "--output", "b.nii")
    assert done.code == 2
    assert done.err == "lazyvox: error: --output must be given once. Got it twice\n"
    done = lazyvox("extract", "run.nii.gz", *["--radius", "5"] * 3, "--seeds", "x.tsv")
    assert done.err == "lazyvox: error: --radius must be given once. Got it 3 times\n"
    done = lazyvox("mean", "run.nii.gz", "-o", "a.nii", "--progress", "--no-progress")
    assert (
        done.err == "lazyvox: error: --progress/--no-progress must be given once. Got it twice\n"
    )
    assert not list(folder.glob("[ab].nii"))


def test_a_flag_may_be_said_again(lazyvox, folder):
    assert lazyvox("mean", "run.nii.gz", "-o", "a.nii", "--quiet", "--quiet").code == 0
