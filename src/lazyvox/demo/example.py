"""Files for examples: a run of the demo's model, its brain mask, atlas, and masks of regions."""

from dataclasses import dataclass
from pathlib import Path

from lazyvox.demo.model import make_model, write_run
from lazyvox.demo.regions import choose_shown, write_regions

__all__ = ["ExampleFiles", "write_example"]

_SEED = 152


@dataclass(frozen=True, slots=True)
class ExampleFiles:
    """Paths of the files of an example, all on one grid.

    Attributes
    ----------
    run : str
        The run, ``.nii.gz``.
    mask : str
        The brain.
    atlas : str
        Labels image of 64 regions.
    lut : str
        Table of their names.
    regions : tuple of str
        Six masks, one for each of six regions.
    """

    run: str
    mask: str
    atlas: str
    lut: str
    regions: tuple[str, ...]


def write_example(
    folder: str | Path, *, n_volumes: int = 100, step: int = 1, seed: int = _SEED
) -> ExampleFiles:
    """Write a generated run and its regions into a folder.

    Parameters
    ----------
    folder : str or Path
        An existing folder; files of the same names are replaced.
    n_volumes : int, default=100
        Length of the run.
    step : int, default=1
        Coarseness of the grid: 1 for voxels of 3 mm, 3 for 9 mm.
    seed : int, default=152
        Another seed is another brain's run.

    Returns
    -------
    ExampleFiles
        Where the files are.

    Raises
    ------
    ParameterError
        If there are fewer than two volumes.

    Notes
    -----
    Memory: some ten volumes. 100 volumes of 3 mm are 25 MB on disk, and take about 1.5 seconds.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = write_example(folder, n_volumes=4, step=4)
    ...     Path(files.run).name, len(files.regions)
    ('run.nii.gz', 6)
    """
    place = Path(folder)
    model = make_model(n_volumes=n_volumes, step=step, seed=seed)
    run = place / "run.nii.gz"
    for _ in write_run(model, str(run)):
        pass
    labels = model.regions.labels
    masks = {f"region{label:02d}": labels == label for label in choose_shown(model.regions)}
    write_regions(place, model.regions, model.affine, {"mask": model.mask, **masks})
    return ExampleFiles(
        run=str(run),
        mask=str(place / "mask.nii.gz"),
        atlas=str(place / "atlas.nii.gz"),
        lut=str(place / "atlas.tsv"),
        regions=tuple(str(place / f"{name}.nii.gz") for name in masks),
    )
