"""`lazyvox connectivity`: correlations between the columns of tables of signals."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import click
import numpy as np

from lazyvox._typing import override
from lazyvox.bids.names import (
    common_name,
    dataset_root,
    parse_name,
    relmat_name,
    sidecar_path,
    source_uri,
)
from lazyvox.bids.sidecars import generated_by, relation_keys, write_sidecar
from lazyvox.cli.estimator_option import estimator_option
from lazyvox.cli.job import Job, Written, perform
from lazyvox.cli.outcome import WrongUsageError
from lazyvox.cli.outputs import check_files, check_output, files_in_folder, list_endings, stem_of
from lazyvox.cli.settings import PATH, Command, Settings, common_options, examples, output_option
from lazyvox.connectome import (
    KINDS,
    Connectivity,
    Estimator,
    matrix_label,
    mean_connectivity,
)
from lazyvox.connectome.api import ConnectivityWork
from lazyvox.connectome.heat_map import draw_heat_map, picture_memory
from lazyvox.connectome.matrix_file import MATRIX_ENDINGS
from lazyvox.connectome.signals_file import open_signals
from lazyvox.errors import ParameterError
from lazyvox.planning.plan import Plan
from lazyvox.runtime.optional import require
from lazyvox.store.files.paths import printable, split_target
from lazyvox.store.write.atomic import write_file

__all__ = ["connectivity"]

_ENDINGS_OF_PLOTS = (".png",)
_KINDS = {kind.replace(" ", "-"): kind for kind in KINDS}
_MEAN = "mean"
_OUTPUT_TEXT = (
    f"Matrix to write; ends in {list_endings(MATRIX_ENDINGS)}. Text has the names of the regions "
    "in the first line and column. Of several tables each gets a file, and so does their mean, "
    "and of several kinds each: names are inserted before the ending. In a folder files get BIDS "
    "names (relmat), and a JSON file beside each."
)


@dataclass(frozen=True, slots=True)
class _WrittenMatrix(Written):
    """A matrix in a file, and its regions without values."""

    missing: Sequence[str] = ()

    @override
    def to_dict(self) -> dict[str, Any]:
        more = {"missing_regions": list(self.missing)} if self.missing else {}
        return {**Written.to_dict(self), **more}


@dataclass(frozen=True, slots=True)
class _Outputs:
    """Files of the matrices: those of each table, one for each kind, then those of the mean.

    Attributes
    ----------
    matrices, plots : tuple of str
        The files; empty where none are wanted.
    has_sidecars : bool
        Whether a JSON file is written beside each matrix.
    """

    matrices: tuple[str, ...] = ()
    plots: tuple[str, ...] = ()
    has_sidecars: bool = False


@dataclass(frozen=True)
class _Matrices:
    """Matrices to compute, and their outputs."""

    paths: tuple[str, ...]
    kinds: tuple[str, ...]
    estimator: Estimator
    fisher_z: bool
    outputs: _Outputs
    overwrite: bool
    names: tuple[str, ...] = field(default=())

    @cached_property
    def _work(self) -> ConnectivityWork:
        tables = tuple(open_signals(path) for path in self.paths)
        n_columns = len(tables[0].names)
        return ConnectivityWork(
            tables,
            tuple(_KINDS[kind] for kind in self.kinds),
            self.estimator,
            self.fisher_z,
            more_bytes=picture_memory(n_columns) if self.outputs.plots else 0,
        )

    def plan(self) -> Plan:
        """Return the plan: inputs, and memory."""
        return self._work.plan()

    def write(self) -> list[Written]:
        """Compute all matrices, and write them when all exist."""
        of_tables = self._work.run()
        if len(of_tables) > 1:
            of_tables.append([mean_connectivity(found) for found in zip(*of_tables, strict=True)])
        matrices = [matrix for found in of_tables for matrix in found]
        pictures = [
            draw_heat_map(one.values, one.names, one.kind, one.measure)
            for one in matrices
            if self.outputs.plots
        ]
        written = self._write_matrices(matrices)
        for path, (content, size) in zip(self.outputs.plots, pictures, strict=True):
            write_file(path, content, overwrite=self.overwrite)
            written.append(Written(path, (*size, 4), "uint8"))
        return written

    def _write_matrices(self, matrices: Sequence[Connectivity]) -> list[Written]:
        written: list[Written] = []
        for number, (path, one) in enumerate(zip(self.outputs.matrices, matrices, strict=True)):
            one.save(path, overwrite=self.overwrite)
            table = number // len(self.kinds)
            if self.outputs.has_sidecars:
                sources = self.paths[table : table + 1] or self.paths
                record = _sidecar(path, sources, one, self.estimator)
                write_sidecar(path, record, overwrite=self.overwrite)
            name = ", ".join([*self.names[table : table + 1], one.measure])
            missing = np.flatnonzero(np.isnan(one.values.diagonal())).tolist()
            regions = [one.names[region] for region in missing]
            written.append(_WrittenMatrix(path, one.shape, str(one.values.dtype), name, regions))
        return written


@click.command(
    cls=Command,
    epilog=examples(
        "lazyvox connectivity regions.tsv -o correlation.tsv --plot correlation.png",
        "lazyvox connectivity regions.tsv --kind partial-correlation -o partial.npy",
        "lazyvox connectivity sub-*_timeseries.tsv --fisher-z -o matrices/",
    ),
)
@click.argument("signals", metavar="SIGNALS...", type=PATH, nargs=-1, required=True)
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
@estimator_option
@click.option(
    "--fisher-z",
    is_flag=True,
    help="Write Fisher's z, arctanh of the correlations, clipped to 4, as on the diagonal "
    "(3dNetCorr -fish_z).",
)
@click.option(
    "--plot",
    metavar="PNG",
    type=PATH,
    help="Picture of the matrix to write too; of several matrices, each gets one.",
)
@output_option(_OUTPUT_TEXT)
@common_options
@click.pass_context
def connectivity(
    ctx: click.Context,
    signals: tuple[str, ...],
    kinds: tuple[str, ...],
    estimator: Estimator,
    fisher_z: bool,  # noqa: FBT001
    output: str | None,
    plot: str | None,
) -> None:
    """Write how strongly the regions of SIGNALS go with each other.

    SIGNALS is a table with a column for each region, as `lazyvox extract` writes it: .tsv, .csv or
    .parquet, or .npy, .txt or .1D, which have no names. Values are those of nilearn's
    ConnectivityMeasure. Several tables of the same regions have a matrix each, and their mean is
    written too.
    """
    settings = Settings.of(ctx)
    kinds = tuple(dict.fromkeys(kinds))
    if fisher_z and "covariance" in kinds:
        msg = "--fisher-z concerns correlations, and --kind covariance has none"
        raise WrongUsageError(msg)
    twice = [path for path in signals if signals.count(path) > 1]
    if twice:
        msg = f"SIGNALS must be different tables. Got {printable(twice[0])} twice"
        raise WrongUsageError(msg)
    outputs = _choose_outputs(output, plot, signals, kinds, estimator, fisher_z, settings)
    work = _Matrices(
        signals,
        kinds,
        estimator,
        fisher_z,
        outputs,
        settings.overwrite,
        names=(*_stems(signals), _MEAN) if len(signals) > 1 else (),
    )
    perform(Job("connectivity", signals, work.plan, work.write), settings)


def _choose_outputs(
    output: str | None,
    plot: str | None,
    signals: Sequence[str],
    kinds: Sequence[str],
    estimator: str,
    fisher_z: bool,  # noqa: FBT001
    settings: Settings,
) -> _Outputs:
    """Return the files that will be written, or raise the usage error that they would be."""
    is_folder = output is not None and (Path(output).is_dir() or output.endswith(os.sep))
    if is_folder and output is not None:
        matrices = _in_folder(
            output, signals, [matrix_label(one, estimator, fisher_z=fisher_z) for one in kinds]
        )
        if not settings.explain:
            check_files([*matrices, *map(sidecar_path, matrices)], signals, settings)
    else:
        matrices = _files(output, signals, kinds)
        if output is not None and not Path(output).suffix:
            msg = (
                f"--output {printable(output)}: the name must end in "
                f"{list_endings(MATRIX_ENDINGS)}, or in / for a folder"
            )
            raise WrongUsageError(msg)
        check_output(output, MATRIX_ENDINGS, signals, settings, files=matrices)
    plots = _files(plot, signals, kinds)
    if plot is not None:
        check_output(plot, _ENDINGS_OF_PLOTS, signals, settings, files=plots, option="--plot")
        require("matplotlib", "plot", "Heat maps (--plot)")
    return _Outputs(matrices, plots, is_folder)


def _files(path: str | None, signals: Sequence[str], kinds: Sequence[str]) -> tuple[str, ...]:
    """Return a path for each kind of each table and of the mean, in the folder as it was given."""
    if path is None:
        return ()
    of_kinds = [kind.replace("-", "_") for kind in kinds] if len(kinds) > 1 else [""]
    of_tables = [*_stems(signals), _MEAN] if len(signals) > 1 else [""]
    names = ["_".join(filter(None, (one, kind))) for one in of_tables for kind in of_kinds]
    if names == [""]:
        return (path,)
    return tuple(str(Path(path).with_name(Path(one).name)) for one in split_target(path, names))


def _stems(signals: Sequence[str]) -> list[str]:
    """Return a name for each table: its file's without the ending."""
    return [Path(stem_of(path)).stem for path in signals]


def _in_folder(folder: str, signals: Sequence[str], labels: Sequence[str]) -> tuple[str, ...]:
    """Return the matrices in a folder, named after the tables."""
    try:
        parsed = [parse_name(path) for path in signals]
    except ParameterError as error:
        msg = f"--output {printable(folder)} is a folder, where files get BIDS names. {error}"
        raise WrongUsageError(msg.rstrip(".")) from error
    if len(parsed) > 1:
        parsed.append(common_name(parsed).with_entities(desc=_MEAN))
    names = [relmat_name(one, label) for one in parsed for label in labels]
    return files_in_folder(folder, names, each="matrix", way_out="Name the file yourself")


def _sidecar(
    path: str, sources: Sequence[str], matrix: Connectivity, estimator: str
) -> Mapping[str, Any]:
    """Return the content of the JSON file beside a matrix."""
    sidecar = sidecar_path(path)
    own_root = dataset_root(sidecar)
    return {
        "Description": f"Relations between regions: {matrix.measure}.",
        "Sources": [
            source_uri(one, sidecar, own_root=own_root, root=dataset_root(one)) for one in sources
        ],
        **relation_keys(matrix.measure),
        "Parameters": {
            "kind": matrix.kind,
            "estimator": estimator,
            "fisher_z": matrix.is_fisher_z,
        },
        "GeneratedBy": generated_by(),
    }
