"""Names of the files that come of a run."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from lazyvox.bids.names import (
    parse_name,
    relmat_name,
    sidecar_path,
    timeseries_name,
)
from lazyvox.cohort.model import ModelFiles
from lazyvox.cohort.options import CohortOptions
from lazyvox.cohort.runs import RunFiles
from lazyvox.connectome import matrix_label

__all__ = ["OutputNames"]


@dataclass(frozen=True, slots=True)
class OutputNames:
    """Paths of the outputs of a run, relative to the dataset.

    Attributes
    ----------
    signals : mapping of str to str
        Table of signals of each atlas, by its name.
    coverage : mapping of str to str
        Table of coverage of each atlas of labels.
    matrices : mapping of (str, str) to str
        Matrix of each atlas and kind.
    qc : str or None
        Table of the quality of volumes.
    model : ModelFiles or None
        Names of the files of the model, in the folder of the run.
    folder : str
        That folder.
    """

    signals: Mapping[str, str]
    coverage: Mapping[str, str]
    matrices: Mapping[tuple[str, str], str]
    qc: str | None
    model: ModelFiles | None
    folder: str

    @classmethod
    def of(cls, run: RunFiles, options: CohortOptions) -> "OutputNames":
        """Return the outputs that options ask for of a run."""
        name, folder = str(run.name), PurePosixPath(run.folder)
        stat = "_".join(options.strategies.given)
        signals = {
            one.name: str(
                folder / timeseries_name(name, one.name, stat="" if one.is_maps else stat)
            )
            for one in options.atlases
        }
        coverage = {
            one.name: str(folder / timeseries_name(name, one.name, stat="coverage", suffix="bold"))
            for one in options.atlases
            if not one.is_maps
        }
        matrices = {
            (atlas, kind): str(
                folder / relmat_name(parse_name(path), matrix_label(kind, options.estimator))
            )
            for atlas, path in signals.items()
            for kind in options.matrix
        }
        qc = str(folder / f"{run.label}_qc.tsv") if options.qc else None
        model = None if options.glm is None else options.glm.files(run)
        return cls(signals, coverage, matrices, qc, model, str(folder))

    @property
    def described(self) -> list[str]:
        """The files that have a JSON file."""
        of_model = [] if self.model is None else [self.model.design, self.model.mask]
        further = [self.in_folder(name) for name in of_model]
        return [*self.signals.values(), *self.matrices.values(), *further]

    def in_folder(self, name: str) -> str:
        """Return the path of a file of the model."""
        return f"{self.folder}/{name}"

    @property
    def paths(self) -> list[str]:
        """All files."""
        sidecars = [sidecar_path(path) for path in self.described]
        qc = [] if self.qc is None else [self.qc]
        model = [] if self.model is None else map(self.in_folder, self.model.names)
        every = [*self.described, *sidecars, *self.coverage.values(), *qc, *model]
        return list(dict.fromkeys(every))
