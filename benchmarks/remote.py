"""Measure reads of the reference run behind http:// on this machine.

    python benchmarks/remote.py [--folder FOLDER] [--runs 3] [--quick] [--clients]

Requests and bytes are counted by the server, a process of its own. Speeds are those of lazyvox, which reads the
decoded bytes of an object into a buffer, compared with one GET by the standard library. Of a .nii.gz there are two:
one GET whose body is given to the same decoder, its bytes dropped; and one that keeps them, in a buffer that is used
again and again. The first has the bound. --clients measures many small ranges by other clients as well: fsspec with
aiohttp, obstore, and with moto's server s3fs.
"""

import contextlib
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from figures import Figures, note
from harness import machine, python, repeat
from reference import options_of, parser_of, reference_of

#: Serves files by name; "-" is what was sent so far, and forgets it.
SERVER = """
import mmap, sys, threading
from lazyvox.testing import ObjectServer, Reply
files = {}
for path in sys.argv[1:]:
    name, _, path = path.partition("=")
    with open(path, "rb") as file:
        files[name] = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
def reply(request):
    if request.name != "-":
        return None
    names = [one.name for one in server.requests if one.name != "-"]
    text = f"{len(names)} {server.n_bytes}"
    server.forget()
    return Reply(status=200, body=text.encode())
with ObjectServer(files, reply) as server:
    for name, content in files.items():
        server.etag_of(name, content)
    print(server.url(""), flush=True)
    sys.stdin.read()
"""

VOLUME = """
import sys
import lazyvox as lv
img = lv.load(sys.argv[1])
img.dataobj[..., img.shape[3] // 2].sum()
"""

MEAN = """
import sys
import lazyvox as lv
lv.mean_img(sys.argv[1])
"""

INDEX = """
import sys
import lazyvox as lv
lv.index(sys.argv[1]).export(sys.argv[2], overwrite=True)
"""

PLAINLY = """
import sys, time, urllib.request
from isal import igzip_lib
piece, part = memoryview(bytearray(128 << 10)), 256 << 10
whole = memoryview(bytearray(4 << 20))
start = time.perf_counter()
n = 0
with urllib.request.urlopen(sys.argv[1]) as body:
    if sys.argv[1].endswith(".gz"):
        inflate = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
        keeps, at = sys.argv[3] == "kept", 0
        while not inflate.eof:
            data = bytes(piece[: body.readinto(piece)]) if inflate.needs_input else b""
            decoded = inflate.decompress(data, min(part, len(whole) - at))
            if keeps:
                whole[at : at + len(decoded)] = decoded
                at = (at + len(decoded)) % len(whole)
            n += len(decoded)
    else:
        while n_read := body.readinto(whole):
            n += n_read
print(n, time.perf_counter() - start)
"""

WITH_LAZYVOX = """
import sys, time
from lazyvox.store import open_source
whole = memoryview(bytearray(4 << 20))
# HTTP and TLS are imported by the first URL.
source = open_source(sys.argv[1])
start = time.perf_counter()
source = open_source(sys.argv[1])
n, size = 0, int(sys.argv[2])
with (source.open_part(0, size) if source.compression != "none" else source.open()) as reader:
    while n < size:
        part = whole[: size - n]
        reader.readinto(n, part)
        n += len(part)
    reader.finish()
print(n, time.perf_counter() - start)
"""

#: Ranges of 64 KiB, 8 at a time, by one client.
RANGES = """
import sys, time
from concurrent.futures import ThreadPoolExecutor
url, client, size = sys.argv[1], sys.argv[2], int(sys.argv[3])
n_ranges, nbytes = 2000, 65536
starts = [(i * 7919 * 4096) % (size - nbytes) for i in range(n_ranges)]
def in_threads(read):
    with ThreadPoolExecutor(8) as pool:
        return sum(pool.map(read, starts))
if client == "lazyvox":
    from lazyvox.store.opening import find_file
    found = find_file(url)
    def read(start):
        file = found.open_stored()
        try:
            return len(file.pread(nbytes, start))
        finally:
            file.close()
    work = lambda: in_threads(read)
elif client == "fsspec":
    import fsspec
    files = fsspec.filesystem("http")
    stops = [start + nbytes for start in starts]
    work = lambda: sum(map(len, files.cat_ranges([url] * n_ranges, starts, stops)))
else:
    import obstore
    from obstore.store import from_url
    base, name = url.rsplit("/", 1)
    store = from_url(base, client_options={"allow_http": True})
    def read(start):
        return len(obstore.get_range(store, name, start=start, length=nbytes))
    work = lambda: in_threads(read)
work()
start = time.perf_counter()
assert work() == n_ranges * nbytes
print(n_ranges / (time.perf_counter() - start))
"""


@contextlib.contextmanager
def served(**files: str) -> Iterator[str]:
    """Serve files by name, with underscores for dots; yield the address."""
    names = [f"{name.replace('_', '.')}={path}" for name, path in files.items()]
    command = [sys.executable, "-c", SERVER, *names]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        assert server.stdin is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.stdin.close()


def main() -> None:
    """Serve the files and an index; measure; print."""
    parser = parser_of(__doc__, n_runs=3)
    parser.add_argument("--clients", action="store_true", help="other clients too")
    options = options_of(parser)
    files = reference_of(options)
    figures = Figures(options.figures)

    def cost(program: str, url: str, cache: Path | None = None) -> tuple[int, int]:
        """Return the requests that a program makes, and the bytes that it is sent."""
        _counts(url)
        repeat(python(program, url), 1, is_watched=False, cache=cache)
        return _counts(url)

    print(machine())
    with tempfile.TemporaryDirectory(prefix="lazyvox-bench-", dir=files.folder) as folder:
        beside, cache = str(Path(folder, "run.gzidx")), Path(folder, "cache")
        repeat(python(INDEX, files.run, beside), 1, is_watched=False)
        decoded = Path(files.plain).stat().st_size
        with served(
            run_nii=files.plain,
            run_nii_gz=files.run,
            indexed_nii_gz=files.run,
            indexed_nii_gz_gzidx=beside,
        ) as address:
            command = python(INDEX, f"{address}run.nii.gz", str(Path(folder, "again.gzidx")))
            repeat(command, 1, is_watched=False, cache=cache)
            for work, name, bound, at in (
                ("a volume of a .nii", "run.nii", 2, None),
                ("a volume of a .nii.gz, index beside it", "indexed.nii.gz", 4, None),
                ("a volume of a .nii.gz, index in the cache", "run.nii.gz", 4, cache),
            ):
                n_requests, nbytes = cost(VOLUME, address + name, at)
                text = f"{n_requests} requests, {nbytes / 2**10:.0f} KiB"
                figures.row(work, text, f"{bound} requests", is_held=n_requests <= bound)
            for name, path in (("run.nii", files.plain), ("run.nii.gz", files.run)):
                n_requests, nbytes = cost(MEAN, address + name)
                size = Path(path).stat().st_size
                figures.row(
                    f"bytes of a pass over {name}, beyond the object",
                    f"{nbytes - size} by {n_requests} requests",
                    "65536",
                    is_held=nbytes <= size + 65536,
                )
                # Half a second each: a busy machine needs more of them.
                dropped, kept, ours = _in_turns(address + name, decoded, 3 * options.runs)
                is_decoded = name.endswith(".gz")
                what = "GET and decoder that drops its bytes" if is_decoded else "GET"
                figures.row(
                    f"speed of {what}: {name}",
                    f"{dropped / ours:.2f} ({ours:.2f} s)",
                    "0.90",
                    is_held=dropped / ours >= 0.9,
                )
                if is_decoded:
                    work = f"speed of GET and decoder that keeps them: {name}"
                    note(work, f"{kept / ours:.2f} ({ours:.2f} s)")
            if options.clients:
                for client in ("lazyvox", "fsspec", "obstore"):
                    command = python(RANGES, f"{address}run.nii", client, str(decoded))
                    rate = repeat(command, 1, is_watched=False).output.split()[-1]
                    print(f"{client}: {float(rate):.0f} ranges of 64 KiB per second")
    print(machine())


def _counts(url: str) -> tuple[int, int]:
    with urllib.request.urlopen(url.rsplit("/", 1)[0] + "/-") as answer:
        n_requests, nbytes = answer.read().split()
    return int(n_requests), int(nbytes)


def _in_turns(url: str, decoded: int, n_runs: int) -> tuple[float, float, float]:
    """Return seconds of reading an object: plainly, bytes dropped and kept, and with lazyvox; medians of turns."""
    ways = ((PLAINLY, "dropped"), (PLAINLY, "kept"), (WITH_LAZYVOX, ""))
    if not url.endswith(".gz"):
        ways = (ways[0], ways[2])
    taken: list[list[float]] = [[] for _ in ways]
    for _ in range(n_runs):
        for (program, way), found in zip(ways, taken, strict=True):
            command = python(program, url, str(decoded), way)
            said = repeat(command, 1, is_watched=False).output.split()
            assert int(said[0]) == decoded, said
            found.append(float(said[1]))
    medians = [statistics.median(found) for found in taken]
    return medians[0], medians[-2], medians[-1]


if __name__ == "__main__":
    main()
