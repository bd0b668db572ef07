"""The group of commands, each imported when it is used, and suggestions for misspelt names."""

import importlib
from difflib import get_close_matches

import click

from lazyvox._typing import override
from lazyvox.cli.outcome import WrongUsageError

__all__ = ["LazyGroup"]

#: The line about each command in the overview.
_COMMANDS = {
    "info": "Show headers, the cost of loading, and whether images are intact.",
    "extract": "Extract the time series of masks, atlas regions, maps and spheres, with cleaning.",
    "seedmap": "Write correlation maps of seeds, in one pass, with cleaning.",
    "glm": "Fit a first-level GLM in one pass, and write maps of contrasts and a report.",
    "cohort": "Extract from all runs of a study, as a BIDS dataset, resumable.",
    "connectivity": "Compute connectivity matrices from the time series of regions.",
    "tstat": "Write statistics over time of every voxel, such as median and tSNR, in one pass.",
    "mean": "Write the mean over time of every voxel.",
    "std": "Write the standard deviation over time of every voxel.",
    "tsnr": "Write the temporal signal-to-noise ratio of every voxel.",
    "stats": "Print statistics of images, masks and regions: mean, sd, range, percentiles, centre.",
    "qc": "Print measures of quality of every volume: DVARS, outliers, framewise displacement.",
    "report": "Write a page about the quality of runs: measures, maps, carpet plots, regions.",
    "view": "Show a run in the browser: any volume, time series, correlation with a voxel.",
    "calc": "Write the image that a formula of images gives, or print the number.",
    "smooth": "Smooth every volume with a Gaussian.",
    "clean": "Remove trends, frequencies and confounds from every voxel of a run.",
    "resample": "Resample images to another grid or voxel size.",
    "slice": "Write a part of an image, such as one volume.",
    "split": "Write every volume of an image as an image of its own.",
    "concat": "Join images along time.",
    "convert": "Write an image in another format, data type or compression.",
    "index": "Build an index so that any volume of a .nii.gz can be read immediately.",
    "cache": "List and remove indexes, and show which one is used for an image.",
    "compare": "Benchmark every method for a task on your data: time, memory, agreement.",
    "demo": "Make a run of real size, extract from it, measure, and plot.",
}

#: Commands whose object has not their name, which is taken.
_OBJECTS = {"slice": "slice_command"}

#: Commands that share a module; others have one of their name.
_MODULES = dict.fromkeys(("tstat", "mean", "std", "tsnr"), "voxelwise")


class LazyGroup(click.Group):
    """Knows its commands by name, and imports the module of the one that runs."""

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"lazyvox.cli.{_MODULES.get(cmd_name, cmd_name)}")
        command: click.Command = getattr(module, _OBJECTS.get(cmd_name, cmd_name))
        return command

    @override
    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))

    @override
    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name in _COMMANDS or ctx.resilient_parsing or name.startswith("-"):
            return super().resolve_command(ctx, args)
        near = get_close_matches(name, _COMMANDS, n=2)
        hint = f"did you mean {' or '.join(near)}?" if near else "see lazyvox --help"
        msg = f"no such command: {name}; {hint}"
        raise WrongUsageError(msg, ctx)
