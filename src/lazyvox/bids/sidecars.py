"""The JSON file beside a result: its sources, parameters and what made it."""

import hashlib
import json
import math
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lazyvox._version import __version__
from lazyvox.bids.names import sidecar_path
from lazyvox.store.files.identity import raise_read_error
from lazyvox.store.files.paths import absolute_path
from lazyvox.store.opening import open_binary
from lazyvox.store.write.sinks import open_sink

__all__ = [
    "Provenance",
    "dataset_description",
    "generated_by",
    "hash_file",
    "relation_keys",
    "write_sidecar",
]

_BIDS_VERSION = "1.10.0"

_HASH_PIECE_BYTES = 1 << 20


def generated_by() -> list[dict[str, str]]:
    """Return what BIDS has as GeneratedBy: the program and its version."""
    return [{"Name": "lazyvox", "Version": __version__}]


def dataset_description(name: str) -> dict[str, Any]:
    """Return the content of the dataset_description.json of a derivative dataset."""
    return {
        "Name": name,
        "BIDSVersion": _BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": generated_by(),
    }


def hash_file(path: str) -> str:
    """Return the SHA-256 of the bytes of a file, in hexadecimal; memory: 1 MiB."""
    full = absolute_path(path)
    digest = hashlib.sha256()
    with open_binary(full) as file:
        try:
            while piece := file.read(_HASH_PIECE_BYTES):
                digest.update(piece)
        except OSError as error:
            raise_read_error(error, full)
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Provenance:
    """Provenance of a table of signals.

    Attributes
    ----------
    sources : sequence of str
        Runs, masks, atlas and tables that it was made from: URIs or relative paths.
    regions_sha256 : mapping of str to str
        SHA-256 of the files of masks and atlases, by the same URIs or paths.
    parameters : mapping
        What was asked for, by name.
    n_volumes : int
        Volumes of the runs together, censored ones included.
    censored : sequence of int
        Numbers of the volumes that have no row, counted from 0.
    t_r : float or None
        Seconds between volumes.
    plan : mapping or None
        `Plan.to_dict()` of the pass. None leaves out all that depends on the process and its
        budget: the same inputs and parameters then give the same file.
    peak_bytes : int or None
        Peak memory that was measured; None with `plan`.
    description : str
        One sentence about the table.
    findings : mapping
        Further keys, of what was found.
    """

    sources: Sequence[str]
    regions_sha256: Mapping[str, str]
    parameters: Mapping[str, Any]
    n_volumes: int
    censored: Sequence[int]
    t_r: float | None
    plan: Mapping[str, Any] | None
    peak_bytes: int | None
    description: str = "Time series of regions: a row for each volume, a column for each region."
    findings: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the content of the JSON file; keys that BIDS defines come first.

        Without a repetition time, "SamplingFrequency" is left out. Rows that are left out change
        nothing about it: it is that of the run, and "CensoredVolumes" says which rows are missing.
        """
        record: dict[str, Any] = {
            "Description": self.description,
            "Sources": list(self.sources),
        }
        if self.t_r:
            record["SamplingFrequency"] = 1 / float(self.t_r)
        described: dict[str, Any] = {
            **record,
            "NumberOfVolumes": int(self.n_volumes),
            "CensoredVolumes": [int(volume) for volume in self.censored],
            **self.findings,
            "RegionsSHA256": dict(self.regions_sha256),
            "Parameters": dict(self.parameters),
            "GeneratedBy": generated_by(),
        }
        if self.plan is None:
            return described
        return {
            **described,
            "SoftwareVersions": _software_versions(),
            "Plan": dict(self.plan),
            "PeakBytes": None if self.peak_bytes is None else int(self.peak_bytes),
        }


def relation_keys(measure: str) -> dict[str, Any]:
    """Return the keys by which BIDS describes a matrix of symmetric relations between regions.

    Parameters
    ----------
    measure : str
        Name of the values, such as "partial correlation".

    Returns
    -------
    dict
        The keys.

    Examples
    --------
    >>> relation_keys("covariance")
    {'RelationshipMeasure': 'covariance', 'Weighted': True, 'Directed': False}
    """
    return {"RelationshipMeasure": measure, "Weighted": True, "Directed": False}


def _software_versions() -> dict[str, str]:
    """Return the versions of lazyvox and its dependencies; scipy's where it was used."""
    modules = {name: sys.modules.get(name) for name in ("numpy", "nibabel", "scipy")}
    found = {name: str(module.__version__) for name, module in modules.items() if module}
    return {"Python": platform.python_version(), **found}


def write_sidecar(path: str, record: Mapping[str, Any], *, overwrite: bool) -> str:
    """Write the JSON file of a result beside it, complete or not at all.

    Parameters
    ----------
    path : str
        The result.
    record : mapping
        Its content, `Provenance.to_dict()`. JSON has no infinity: such a limit is written as text.
    overwrite : bool
        Whether an existing file may be replaced.

    Returns
    -------
    str
        The path of the JSON file.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    target = sidecar_path(path)
    text = json.dumps(_finite(record), indent=2, ensure_ascii=False, allow_nan=False)
    with open_sink(target, compression="none", overwrite=overwrite) as sink:
        sink.write(text.encode("utf-8", "backslashreplace") + b"\n")
        sink.commit()
    return target


def _finite(value: Any) -> Any:
    """Return a value with text in place of the numbers that JSON does not have."""
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
