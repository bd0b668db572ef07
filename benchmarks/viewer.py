"""The server of the viewer: a run of 0.9 GB, and one of 20 GB, decoded.

    python benchmarks/viewer.py [--folder FOLDER] [--runs 5] [--quick]

Requests are made as a page makes them, over HTTP, to `lazyvox view` in a process of its own. D is the
time of bare isal, measured in turns with clicks. The first image is counted from the address that the
command prints; before that, it is Python that starts. Memory is the largest proportional set size that
was seen after a request, those within the pass included, less that of a process that has imported the
same modules. The long run, 4 GB on disk, is made of one stretch of noise again and again.
"""

import http.client
import json
import os
import random
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import nibabel as nib
import numpy as np
from figures import Figures, note
from harness import BARE_ISAL, machine, number, python
from isal import isal_zlib
from reference import options_of, parser_of, reference_of

from lazyvox.demo.model import brain
from lazyvox.runtime.resident import own_usage

#: 91 x 109 x 91 int16 at 2 mm: 19.9 GB.
N_VOLUMES, N_VOLUMES_QUICK = 11_000, 200
#: Volumes of the stretch that is repeated.
N_DISTINCT = 50
N_READS = 60

IMPORTS = """
import os
import lazyvox.cli.main, lazyvox.cli.view, lazyvox.viewer.server, lazyvox.lazyimage.load, scipy.linalg
from lazyvox.runtime.resident import own_usage
print(own_usage(os.getpid()).pss / 2**20)
"""


@dataclass
class Viewer:
    """A command that runs, and the most memory that it was seen to have.

    Attributes
    ----------
    process : Popen
        It.
    url : str
        The address that it printed.
    """

    process: subprocess.Popen[str]
    url: str
    peak_mib: float = 0.0
    connection: http.client.HTTPConnection = field(init=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        self.connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=3600)

    def get(self, path: str) -> tuple[float, bytes]:
        """Return the seconds of a request, and the answer."""
        start = time.perf_counter()
        self.connection.request("GET", urlsplit(self.url).path + path)
        response = self.connection.getresponse()
        body = response.read()
        seconds = time.perf_counter() - start
        if response.status not in {200, 202}:
            msg = f"{path}: {response.status} {body[:200]!r}"
            raise RuntimeError(msg)
        self.peak_mib = max(self.peak_mib, own_usage(self.process.pid).pss / 2**20)
        return seconds, body

    def wait_for_pass(self) -> float:
        """Return how long the pass in the background took from now on; reads volumes meanwhile."""
        start = time.perf_counter()
        while (state := json.loads(self.get("state")[1])["pass"])["state"] == "running":
            self.get(f"volume/{random.randrange(max(state['done'], 1))}")
            time.sleep(0.1)
        return time.perf_counter() - start


@contextmanager
def viewer_of(path: str, cache: str) -> Iterator[Viewer]:
    """Run the command on a file."""
    command = [sys.executable, "-m", "lazyvox", "view", path, "--no-browser"]
    environment = {**os.environ, "LAZYVOX_CACHE_DIR": cache}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        try:
            yield Viewer(process, process.stdout.readline().strip())
        finally:
            process.send_signal(signal.SIGINT)


def make_long(folder: Path, n_volumes: int) -> str:
    """Write the long run, if it is missing: one member of gzip, in pieces that end at a byte."""
    path = folder / f"view_{n_volumes}.nii.gz"
    if path.exists():
        return str(path)
    inside, affine = brain()
    shape = tuple(int(n * 1.5) for n in inside.shape)
    places = [(np.arange(n) / 1.5).astype(int) for n in shape]
    fine = inside[np.ix_(*places)]
    rng = np.random.default_rng(0)
    volume = np.zeros(shape, "<i2", order="F")
    level = rng.normal(1000, 60, int(fine.sum()))
    stretch = bytearray()
    for _ in range(N_DISTINCT):
        volume[fine] = (level + rng.normal(0, 3, len(level))).round()
        stretch += volume.tobytes(order="F")
    header = nib.Nifti1Header()
    header.set_data_dtype(np.int16)
    header.set_data_shape((*shape, n_volumes))
    header.set_zooms((2, 2, 2, 0.8))
    header.set_xyzt_units("mm", "sec")
    header.set_sform(affine @ np.diag([2 / 3, 2 / 3, 2 / 3, 1]), code="aligned")
    header["vox_offset"], header["magic"] = 352, b"n+1"
    head = header.binaryblock + bytes(4)
    piece, of_piece = _deflated(stretch), zlib.crc32(stretch)
    checksum, length = zlib.crc32(head), len(head)
    unfinished = path.with_suffix(".part")
    with unfinished.open("wb") as file:
        file.write(b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + _deflated(head))
        for _ in range(n_volumes // N_DISTINCT):
            file.write(piece)
            checksum = isal_zlib.crc32_combine(checksum, of_piece, len(stretch))
            length += len(stretch)
        file.write(zlib.compressobj(6, zlib.DEFLATED, -15).flush())
        file.write(struct.pack("<II", checksum, length & 0xFFFFFFFF))
    unfinished.rename(path)
    return str(path)


def _deflated(data: bytes | bytearray) -> bytes:
    """Return raw deflate that ends at a byte, and that what follows does not look back to."""
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush(zlib.Z_FULL_FLUSH)


@dataclass(frozen=True, slots=True)
class Bench:
    """Place of the figures, and what the imports take."""

    figures: Figures
    imports_mib: float

    def measure(self, path: str, name: str, *, n_clicks: int, has_bounds: bool) -> None:
        """Measure everything on one file that has no index at first."""
        with tempfile.TemporaryDirectory() as cache, viewer_of(path, cache) as viewer:
            first, info = viewer.get("info")
            first += viewer.get("volume/0")[0]
            self.figures.row(
                f"{name}: first image", f"{first:.2f} s", "1.5 s", is_held=first <= 1.5
            )
            shape = json.loads(info)["shape"]
            passed = viewer.wait_for_pass()
            reads = [viewer.get(f"volume/{random.randrange(shape[3])}")[0] for _ in range(N_READS)]
            ms = 1000 * statistics.median(reads)
            self.figures.row(
                f"{name}: any volume, indexed", f"{ms:.1f} ms", "15 ms", is_held=ms <= 15
            )
            bare, clicks = self._clicks(viewer, path, shape, n_clicks)
            note(f"{name}: pass in the background", f"{passed:.1f} s, {passed / bare:.2f} D")
            for kind, bound in (("series", 0.8), ("correlation", 1.2)):
                seconds = statistics.median(clicks[kind])
                text = f"{seconds:.2f} s, {seconds / bare:.2f} D"
                if has_bounds:
                    is_held = seconds <= bound * bare
                    self.figures.row(
                        f"{name}: {kind}, indexed", text, f"{bound} D", is_held=is_held
                    )
                else:
                    note(f"{name}: {kind}, indexed", text)
            for result in ("map/mean", "map/std", "map/tsnr", "quality", "carpet.png"):
                viewer.get(result)
            above = viewer.peak_mib - self.imports_mib
            text = f"{above:.0f} MiB"
            self.figures.row(
                f"{name}: memory above imports", text, "150 MiB", is_held=above <= 150
            )

    def _clicks(
        self, viewer: Viewer, path: str, shape: list[int], n_clicks: int
    ) -> tuple[float, dict[str, list[float]]]:
        """Return D, and the seconds of clicks, measured in turns."""
        bare: list[float] = []
        clicks: dict[str, list[float]] = {"series": [], "correlation": []}
        i, j, k = (length // 2 for length in shape[:3])
        for click in range(n_clicks):
            bare.append(number(python(BARE_ISAL, path)))
            for kind, seconds in clicks.items():
                # Another voxel each time: the last ones are kept.
                seconds.append(viewer.get(f"{kind}?i={i}&j={j}&k={k - click}")[0])
        return statistics.median(bare), clicks


def main() -> None:
    """Make the files, measure, print."""
    options = options_of(parser_of(__doc__, n_runs=5))
    files = reference_of(options)
    long_run = make_long(options.folder, N_VOLUMES_QUICK if options.quick else N_VOLUMES)
    print(machine())
    bench = Bench(Figures(options.figures), number(python(IMPORTS)))
    bench.measure(files.run, "0.9 GB", n_clicks=options.runs, has_bounds=True)
    bench.measure(long_run, "20 GB", n_clicks=1, has_bounds=False)


if __name__ == "__main__":
    main()
