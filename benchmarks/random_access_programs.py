"""The programs that `random_access.py` runs: the last thing that each prints is its seconds."""

HEAD = """
import sys, time
import numpy as np, nibabel as nib, lazyvox as lv
lv.load, lv.index, lv.Scan, lv.extract, lv.mean_img, lv.shared
run = sys.argv[1]
start = time.perf_counter()
"""
_TAIL = "print(time.perf_counter() - start)\n"

PASS_THEN_INDEX = f"""
lv.mean_img(run)
lv.index(run)
{_TAIL}"""

#: Nobody asks for an index here: a read backwards shows that one is wanted, and decodes nearly all
#: of the file again.
PASS_AND_INDEX = f"""
img = lv.load(run)
lv.mean_img(img)
np.asarray(img.dataobj[..., -3])
{_TAIL}"""

INDEX = f"""
lv.index(run)
{_TAIL}"""

#: How an index could be made otherwise. zlib alone can stop at each block; that is the least that
#: a build with it takes.
OTHER_ROUTES = {
    "inflating with zlib": f"""
import zlib
inflate = zlib.decompressobj(31)
with open(run, "rb") as stream:
    start = time.perf_counter()
    while piece := stream.read(1 << 20):
        while piece:
            inflate.decompress(piece, 1 << 18)
            piece = inflate.unconsumed_tail
{_TAIL}""",
    "indexed_gzip": f"""
import indexed_gzip
with indexed_gzip.IndexedGzipFile(run, spacing=2 << 20) as stream:
    start = time.perf_counter()
    stream.build_full_index()
{_TAIL}""",
    "rapidgzip, 2 threads": f"""
import rapidgzip
with rapidgzip.open(run, parallelization=2) as stream:
    start = time.perf_counter()
    while stream.read(8 << 20):
        pass
    stream.block_offsets()
{_TAIL}""",
}

ONE_PASS = "lv.extract(run, sys.argv[2:])\n"

SIZE = """
import json
found = lv.index(run, spacing=sys.argv[2] or None)
print(json.dumps({"n_bytes": found.n_bytes, "decoded_size": found.decoded_size}))
"""

#: How long each of some random volumes takes, all of them different; then, whether they are right.
VOLUMES = """
img = lv.load(run)
numbers = np.random.default_rng(5).permutation(img.shape[-1])[:int(sys.argv[2])]
taken, sums = [], []
for number in numbers:
    start = time.perf_counter()
    volume = np.asarray(img.dataobj[..., number])
    taken.append(time.perf_counter() - start)
    sums.append(volume.sum(dtype=np.float64))
true = nib.load(sys.argv[3], mmap=False).dataobj
assert sums == [np.asarray(true[..., number]).sum(dtype=np.float64) for number in numbers]
print(1000 * np.median(taken))
"""

#: With indexed_gzip a pass builds its index first, which is not timed.
VOLUMES_NIBABEL = """
img = nib.load(run)
numbers = np.random.default_rng(5).permutation(img.shape[-1])[:int(sys.argv[2])]
if sys.argv[3]:
    img = nib.load(run, keep_file_open=True)
    img.dataobj[..., -1]
taken = []
for number in numbers:
    start = time.perf_counter()
    img.dataobj[..., number]
    taken.append(time.perf_counter() - start)
print(1000 * np.median(taken))
"""

SERIES = f"""
np.asarray(lv.load(run).dataobj[30, 36, 30])
{_TAIL}"""

PASS = f"""
class Nothing(lv.Consumer):
    def init(self, grid): pass
    def update(self, block, start): pass
    def merge(self, other): pass
    def finalize(self): return None
    def state_bytes(self, grid): return 0

start = time.perf_counter()
scan = lv.Scan(run)
scan.add(Nothing())
scan.run()
{_TAIL}"""

MEAN = f"""
lv.mean_img(run)
{_TAIL}"""

WORKERS = """
from joblib import Parallel, delayed
Parallel(n_jobs=6)(delayed(lv.extract)(run, mask) for mask in sys.argv[2:])
"""

SHARED = """
from joblib import Parallel, delayed

def voxels(handle, mask):
    import numpy, nibabel
    with handle.open() as img:
        return numpy.asarray(img.dataobj)[numpy.asarray(nibabel.load(mask).dataobj) > 0].T

with lv.shared(run) as handle:
    Parallel(n_jobs=6)(delayed(voxels)(handle, mask) for mask in sys.argv[2:])
"""

#: Each thread takes the next slice that nobody has taken. All are compared afterwards.
SLICES = """
from concurrent.futures import ThreadPoolExecutor
plain, n_slices, n_threads = sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
img = lv.load(run)
rng = np.random.default_rng(6)
places = np.column_stack([rng.integers(size, size=n_slices) for size in img.shape[2:]]).tolist()
read = lambda place: np.asarray(img.dataobj[:, :, place[0], place[1]])
with ThreadPoolExecutor(n_threads) as pool:
    start = time.perf_counter()
    got = list(pool.map(read, places))
    seconds = time.perf_counter() - start
true = nib.load(plain).dataobj
assert all(np.array_equal(one, true[:, :, z, t]) for one, (z, t) in zip(got, places))
print(seconds)
"""
