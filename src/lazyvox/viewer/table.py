"""Series as a table to keep."""

from lazyvox.viewer.clicks import Course

__all__ = ["course_table"]


def course_table(course: Course, t_r: float | None) -> str:
    """Return a series as tab-separated text, as BIDS has it.

    Parameters
    ----------
    course : Course
        The series.
    t_r : float or None
        Seconds between volumes.

    Returns
    -------
    str
        Columns volume, time in seconds where it is known, voxel, and region where there is one.
    """
    titles, columns = ["volume"], [[str(number) for number in range(len(course.values))]]
    if t_r is not None:
        titles.append("time")
        columns.append([f"{t_r * number:.10g}" for number in range(len(course.values))])
    for name, values in (("voxel", course.values), ("region", course.region)):
        if values is not None:
            titles.append(name)
            columns.append(["n/a" if one != one else repr(one) for one in values.tolist()])  # noqa: PLR0124
    rows = ["\t".join(row) for row in zip(*columns, strict=True)]
    return "\n".join(["\t".join(titles), *rows, ""])
