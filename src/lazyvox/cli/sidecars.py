"""JSON files beside tables of signals: their sources and parameters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lazyvox.bids.names import dataset_root, sidecar_path, source_uri
from lazyvox.bids.sidecars import Provenance, hash_file, write_sidecar
from lazyvox.cli.cleaning_options import CleaningChoice, PreparedCleaning
from lazyvox.cli.confound_tables import ConfoundChoice
from lazyvox.cli.region_options import Regions, RegionSet
from lazyvox.planning.plan import Plan

__all__ = ["Inputs", "provenance_of", "write_sidecars"]


@dataclass(frozen=True, slots=True)
class Inputs:
    """Inputs and options of `lazyvox extract`.

    Attributes
    ----------
    runs : tuple of str
        The runs.
    regions : Regions
        The region sets.
    cleaning : CleaningChoice
        Smoothing and cleaning.
    confounds : ConfoundChoice
        What is removed.
    sample_mask : str or None
        File with the volumes to keep.
    dtype : str or None
        Type of the values.
    """

    runs: tuple[str, ...]
    regions: Regions
    cleaning: CleaningChoice
    confounds: ConfoundChoice
    sample_mask: str | None
    dtype: str | None

    @property
    def paths(self) -> list[str]:
        """All files that are read."""
        return [*self.runs, *self.regions.inputs, *self._tables]

    @property
    def _tables(self) -> list[str]:
        """Files that concern volumes."""
        return [*self.confounds.confounds, *([self.sample_mask] if self.sample_mask else [])]

    def sources(self, one: RegionSet) -> list[str]:
        """Return the files that the table of one region set is made from."""
        return [*self.runs, *self.images(one), *([one.lut] if one.lut else []), *self._tables]

    def images(self, one: RegionSet) -> list[str]:
        """Return the files that define the regions of one region set."""
        confining = self.regions.mask_img if self.regions.confines(one) else None
        return [*([one.path] if one.path else []), *([confining] if confining else [])]

    def parameters(self, one: RegionSet) -> dict[str, Any]:
        """Return the options of one region set, for JSON."""
        return {
            **self.regions.to_dict(one),
            "dtype": self.dtype,
            **self.cleaning.to_dict(),
            **self.confounds.to_dict(),
        }


def write_sidecars(
    tables: Sequence[str],
    inputs: Inputs,
    cleaning: PreparedCleaning,
    plan: Plan,
    *,
    t_r: float | None,
    peak_bytes: int,
    findings: Sequence[Mapping[str, Any]],
    overwrite: bool,
) -> None:
    """Write the JSON file beside each table.

    Parameters
    ----------
    tables : sequence of str
        A table for each region set.
    inputs : Inputs
        What was asked for.
    cleaning : PreparedCleaning
        What was done to signals.
    plan : Plan
        Plan of the pass.
    t_r : float or None
        Seconds between volumes.
    peak_bytes : int
        Peak memory that was measured.
    findings : sequence of mapping
        Further keys of each JSON file.
    overwrite : bool
        Whether existing files may be replaced.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    for one, table, found in zip(inputs.regions.sets, tables, findings, strict=True):
        record = provenance_of(
            table,
            inputs.sources(one),
            inputs.images(one),
            inputs.parameters(one),
            cleaning,
            plan,
            t_r=t_r,
            peak_bytes=peak_bytes,
        )
        record = replace(record, findings=found)
        write_sidecar(table, record.to_dict(), overwrite=overwrite)


def provenance_of(
    output: str,
    sources: Sequence[str],
    regions: Sequence[str],
    parameters: Mapping[str, Any],
    cleaning: PreparedCleaning,
    plan: Plan,
    *,
    t_r: float | None,
    peak_bytes: int,
) -> Provenance:
    """Return the provenance of one result.

    Parameters
    ----------
    output : str
        The file that the JSON file will lie beside.
    sources : sequence of str
        All files that it was made from.
    regions : sequence of str
        Of these, the files of masks and atlases.
    parameters : mapping
        What was asked for, by name.
    cleaning : PreparedCleaning
        What was done to signals.
    plan : Plan
        Plan of the pass.
    t_r : float or None
        Seconds between volumes.
    peak_bytes : int
        Peak memory that was measured.

    Returns
    -------
    Provenance
        The content of the JSON file.
    """
    described = plan.to_dict()
    # The sources are named in full, and where they lie is nobody's business.
    del described["source"]
    sidecar = sidecar_path(output)
    own_root = dataset_root(sidecar)
    uris = {
        path: source_uri(path, sidecar, own_root=own_root, root=dataset_root(path))
        for path in sources
    }
    return Provenance(
        sources=[*uris.values()],
        regions_sha256={uris[path]: hash_file(path) for path in regions},
        parameters={**parameters, "confounds": list(cleaning.confound_names)},
        n_volumes=len(cleaning.kept),
        censored=cleaning.censored.tolist(),
        t_r=t_r,
        plan=described,
        peak_bytes=peak_bytes,
    )
