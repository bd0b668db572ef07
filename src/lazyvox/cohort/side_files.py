"""Files beside the results of a run: JSON files with sources and parameters, and coverage."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from lazyvox._typing import BoolArray
from lazyvox.bids.names import source_uri
from lazyvox.bids.sidecars import Provenance, generated_by, relation_keys, write_sidecar
from lazyvox.cohort.atlases import Atlas
from lazyvox.cohort.options import CohortOptions
from lazyvox.cohort.output_names import OutputNames
from lazyvox.cohort.runs import RunFiles
from lazyvox.extraction.signals import Signals
from lazyvox.extraction.table_writers import TEXT_FORMS
from lazyvox.extraction.tables import cell_line, write_lines

__all__ = ["SideFacts", "write_coverage", "write_sidecars"]

_COVERAGE_TITLES = ("region", "label", "n_voxels", "n_covered", "coverage")

#: Options that the signals of an atlas do not depend on.
_NOT_OF_SIGNALS = frozenset({"atlases", "matrix", "estimator", "qc", "mask", "glm"})

#: Options that a model depends on, besides its own.
_OF_MODEL = (
    "confound_strategy",
    "confound_columns",
    "fd_threshold",
    "std_dvars_threshold",
    "scrub",
    "smoothing_fwhm",
    "censored",
)


@dataclass(frozen=True, slots=True)
class SideFacts:
    """Facts about a run that its JSON files tell.

    Attributes
    ----------
    run : RunFiles
        The run.
    options : CohortOptions
        What was asked for.
    out : str
        Folder of the dataset.
    confound_names : tuple of str
        Columns that were removed.
    kept : ndarray of bool
        Whether each volume is kept.
    t_r : float or None
        Seconds between volumes.
    """

    run: RunFiles
    options: CohortOptions
    out: str
    confound_names: tuple[str, ...]
    kept: BoolArray
    t_r: float | None

    def record(
        self,
        path: str,
        sources: list[str | None],
        parameters: dict[str, Any],
        description: str = "",
        image: Atlas | None = None,
        findings: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Return the content of the JSON file of a result."""
        uris = {one: self._uri(one, path) for one in sources if one}
        record = Provenance(
            sources=list(uris.values()),
            regions_sha256={} if image is None else {uris[image.path]: image.sha256[0]},
            parameters={**parameters, "confounds": list(self.confound_names)},
            n_volumes=len(self.kept),
            censored=np.flatnonzero(~self.kept).tolist(),
            t_r=self.t_r,
            plan=None,
            peak_bytes=None,
            findings=findings or {},
        )
        return (replace(record, description=description) if description else record).to_dict()

    def mask_record(self, path: str, mask: str | None) -> dict[str, Any]:
        """Return the content of the JSON file of the voxels of a model; keys are those of BIDS."""
        is_computed = self.options.computes_mask
        computed = ", computed of the run" if is_computed else ""
        return {
            "Description": f"Voxels of the maps of a first-level GLM{computed}.",
            "Type": "Brain" if is_computed or self.options.mask == "auto" else "ROI",
            "Sources": [self._uri(mask or self.run.bold, path)],
            "SpatialReference": self._uri(self.run.bold, path),
            "GeneratedBy": generated_by(),
        }

    def _uri(self, source: str, path: str) -> str:
        return source_uri(source, str(Path(self.out) / path), own_root=None, root=None)


def write_sidecars(facts: SideFacts, names: OutputNames, stage: Path) -> None:
    """Write the JSON file of each table of a run.

    Parameters
    ----------
    facts : SideFacts
        Facts about the run.
    names : OutputNames
        The tables.
    stage : Path
        Folder that they are in.
    """
    run, options = facts.run, facts.options
    atlases = {one.name: one for one in options.atlases}
    every = options.to_dict()
    of_signals = {name: value for name, value in every.items() if name not in _NOT_OF_SIGNALS}
    mask = options.mask_of(run)
    confounds = run.confounds if options.takes_confounds else None
    tables = [
        *((atlas, path, "") for atlas, path in names.signals.items()),
        *((atlas, path, kind) for (atlas, kind), path in names.matrices.items()),
    ]
    for name, path, kind in tables:
        image = atlases[name]
        sources = [run.bold, image.path, image.lut, mask, confounds]
        description = f"{kind.capitalize()} of regions." if kind else ""
        parameters = {**of_signals, **(_of_matrix(kind, options) if kind else {})}
        findings = relation_keys(kind) if kind else {}
        record = facts.record(path, sources, parameters, description, image, findings)
        write_sidecar(str(stage / path), record, overwrite=False)
    if options.glm is not None and names.model is not None:
        of_model = {name: every[name] for name in _OF_MODEL if name in every}
        path = names.in_folder(names.model.design)
        record = facts.record(
            path,
            [run.bold, run.events, mask, confounds],
            {**options.glm.to_dict(), **of_model},
            "Design matrix of a first-level GLM: a row for each volume that is kept.",
        )
        write_sidecar(str(stage / path), record, overwrite=False)
        path = names.in_folder(names.model.mask)
        write_sidecar(str(stage / path), facts.mask_record(path, mask), overwrite=False)


def _of_matrix(kind: str, options: CohortOptions) -> dict[str, Any]:
    """Return the parameters of a matrix, those of `connectivity`; a study has no Fisher's z."""
    return {"kind": kind, "estimator": options.estimator, "fisher_z": False}


def write_coverage(path: Path, signals: Signals) -> None:
    """Write the coverage of the regions of an atlas."""
    assert signals.regions is not None, "bug in lazyvox: no regions"
    rows = signals.regions.coverage_rows()
    form = TEXT_FORMS[".tsv"]
    lines = (cell_line(cells, form) for cells in chain([_COVERAGE_TITLES], rows))
    write_lines(path, lines, overwrite=False)
