"""A scan with a single consumer."""

from collections.abc import Sequence
from typing import TypeAlias

from lazyvox.lazyimage.load import ImageLike
from lazyvox.runtime.progress import ProgressLike
from lazyvox.stream.consumer import Consumer, ResultT
from lazyvox.stream.scan import Scan

__all__ = ["Images", "scan_once"]

Images: TypeAlias = ImageLike | Sequence[ImageLike]


def scan_once(
    imgs: Images,
    consumer: Consumer[ResultT],
    memory: int | str | None,
    n_jobs: int,
    progress: ProgressLike,
) -> ResultT:
    """Run a scan with one consumer and return its result.

    Parameters
    ----------
    imgs : image, path, or list of them
        What to scan.
    consumer : Consumer
        What to compute.
    memory : int, str or None
        Memory budget.
    n_jobs : int
        Threads for the computation.
    progress : bool, callable or None
        Whether and how to report progress.

    Returns
    -------
    object
        The result of the consumer.
    """
    scan = Scan(imgs)
    handle = scan.add(consumer)
    scan.run(memory=memory, n_jobs=n_jobs, progress=progress)
    return handle.result()
