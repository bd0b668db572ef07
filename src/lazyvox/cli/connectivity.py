"""`lazyvox connectivity`: correlations between the columns of a table of signals."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from lazyvox.cli.heat_map import draw_heat_map, picture_memory
from lazyvox.cli.job import Job, Written, perform
from lazyvox.cli.outputs import check_output, list_endings
from lazyvox.cli.settings import PATH, Command, Settings, common_options, examples, output_option
from lazyvox.connectome import ESTIMATORS, KINDS, Estimator
from lazyvox.connectome import connectivity as compute
from lazyvox.connectome.api import COPIES_OF_SIGNALS, check_budget, memory_terms
from lazyvox.connectome.matrix_file import MATRIX_ENDINGS
from lazyvox.connectome.signals_file import SignalsFile, open_signals
from lazyvox.planning.plan import Plan
from lazyvox.runtime.budget import resolve_budget
from lazyvox.runtime.optional import require
from lazyvox.store.files.paths import split_target
from lazyvox.store.write.atomic import write_file

__all__ = ["connectivity"]

_ENDINGS_OF_PLOTS = (".png",)
_KINDS = {kind.replace(" ", "-"): kind for kind in KINDS}
_OUTPUT_TEXT = (
    f"Matrix to write; ends in {list_endings(MATRIX_ENDINGS)}. Text has the names of the regions "
    "in the first line and column. Of several kinds each gets a file, its name inserted before "
    "the ending."
)


@dataclass(frozen=True, slots=True)
class _Matrices:
    """Measures to compute, their signals, and their outputs."""

    signals: SignalsFile
    kinds: tuple[str, ...]
    estimator: Estimator
    outputs: tuple[str, ...]
    plots: tuple[str, ...]
    overwrite: bool

    def plan(self) -> Plan:
        """Return the plan: input, and memory."""
        n_volumes, n_columns = self.signals.shape
        table, matrix = 8 * n_volumes * n_columns, 8 * n_columns**2
        more = picture_memory(n_columns) if self.plots else 0
        return Plan(
            source=self.signals.path,
            shape=self.signals.shape,
            dtype="float64",
            passes=1,
            bytes_read=self.signals.n_bytes,
            bytes_decoded=table,
            block_volumes=max(n_volumes, 1),
            slab_slices=1,
            n_buffers=COPIES_OF_SIGNALS,
            buffer_bytes=COPIES_OF_SIGNALS * table,
            block_bytes=table,
            consumer_bytes=tuple((kind, matrix) for kind in self.kinds),
            memory=memory_terms(self.signals.shape, self.kinds, more=more),
            scratch_bytes=0,
            budget=resolve_budget(None),
        )

    def write(self) -> list[Written]:
        """Compute all matrices, and write them when all exist."""
        plan = self.plan()
        check_budget(plan.shape, plan.peak_bytes, plan.budget)
        names = self.signals.names
        values = self.signals.read()
        matrices = [
            compute(values, _KINDS[kind], estimator=self.estimator, names=names)
            for kind in self.kinds
        ]
        pictures = [
            draw_heat_map(matrix.values, names, matrix.kind) for matrix in matrices if self.plots
        ]
        written = []
        for path, matrix in zip(self.outputs, matrices, strict=True):
            matrix.save(path, overwrite=self.overwrite)
            written.append(Written(path, matrix.shape, str(matrix.values.dtype), matrix.kind))
        for path, (content, size) in zip(self.plots, pictures, strict=True):
            write_file(path, content, overwrite=self.overwrite)
            written.append(Written(path, (*size, 4), "uint8"))
        return written


@click.command(
    cls=Command,
    epilog=examples(
        "lazyvox connectivity regions.tsv -o correlation.tsv --plot correlation.png",
        "lazyvox connectivity regions.tsv --kind partial-correlation -o partial.npy",
    ),
)
@click.argument("signals", metavar="SIGNALS", type=PATH)
@click.option(
    "--kind",
    "kinds",
    type=click.Choice(list(_KINDS)),
    multiple=True,
    default=("correlation",),
    show_default=True,
    metavar="NAME",
    help=f"Measures to compute: {', '.join(_KINDS)}. May be given several times.",
)
@click.option(
    "--estimator",
    type=click.Choice(ESTIMATORS),
    default=ESTIMATORS[0],
    show_default=True,
    metavar="NAME",
    help="Estimator of the covariance: ledoit-wolf, with shrinkage, or empirical.",
)
@click.option(
    "--plot",
    metavar="PNG",
    type=PATH,
    help="Picture of the matrix to write too; of several kinds, each gets one.",
)
@output_option(_OUTPUT_TEXT)
@common_options
@click.pass_context
def connectivity(
    ctx: click.Context,
    signals: str,
    kinds: tuple[str, ...],
    estimator: Estimator,
    output: str | None,
    plot: str | None,
) -> None:
    """Write how strongly the regions of SIGNALS go with each other.

    SIGNALS is a table with a column for each region, as `lazyvox extract` writes it: .tsv, .csv,
    .npy or .parquet. Values are those of nilearn's ConnectivityMeasure.
    """
    settings = Settings.of(ctx)
    kinds = tuple(dict.fromkeys(kinds))
    outputs = _files(output, kinds)
    check_output(output, MATRIX_ENDINGS, [signals], settings, files=outputs)
    plots = _files(plot, kinds)
    if plot is not None:
        check_output(plot, _ENDINGS_OF_PLOTS, [signals], settings, files=plots, option="--plot")
        require("matplotlib", "plot", "Heat maps (--plot)")
    work = _Matrices(
        open_signals(signals), kinds, estimator, outputs, plots, overwrite=settings.overwrite
    )
    perform(Job("connectivity", [signals], work.plan, work.write), settings)


def _files(path: str | None, kinds: Sequence[str]) -> tuple[str, ...]:
    """Return one path for each kind, in the folder as it was given."""
    if path is None:
        return ()
    if len(kinds) == 1:
        return (path,)
    names = [kind.replace("-", "_") for kind in kinds]
    return tuple(str(Path(path).with_name(Path(one).name)) for one in split_target(path, names))
