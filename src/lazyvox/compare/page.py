"""The comparison as one HTML page that needs nothing besides itself."""

import base64
import html
from collections.abc import Iterable

from lazyvox.compare.agreement import TOLERANCE
from lazyvox.compare.outcome import Comparison, memory_text, seconds_text
from lazyvox.compare.records import DEFINITIONS, Record
from lazyvox.planning.memory import counted, format_bytes

__all__ = ["html_page"]

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #22303c; max-width: 70rem; margin: 2rem auto;
       padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
img { max-width: 100%; border: 1px solid #dde2e7; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.92rem; }
th, td { padding: 0.3rem 0.7rem; border-bottom: 1px solid #dde2e7; text-align: left;
         vertical-align: top; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
tr.lazyvox td:first-child { border-left: 4px solid #3f7f6f; }
tr td:first-child { border-left: 4px solid transparent; }
.bad { color: #a3262a; font-weight: 600; } .soft { color: #6b7884; }
dt { font-weight: 600; margin-top: 0.6rem; } dd { margin-left: 1.2rem; }
"""

_HEADINGS = ("Wall time", "CPU time", "Peak memory", "High-water marks", "Processes", "Bytes read")


def html_page(comparison: Comparison, picture: bytes) -> str:
    """Return the page.

    Parameters
    ----------
    comparison : Comparison
        What is shown.
    picture : bytes
        The plot as PNG.

    Returns
    -------
    str
        HTML; whatever comes from files or messages is escaped.
    """
    title = html.escape(comparison.title)
    image = base64.b64encode(picture).decode("ascii")
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{title}</title><style>{_STYLE}</style></head><body>",
            f"<h1>{title}</h1>",
            *_inputs(comparison),
            f'<img alt="Bars of peak memory and wall time" src="data:image/png;base64,{image}">',
            *_table(comparison),
            *_methods(comparison),
            *_machine(comparison),
            "</body></html>",
            "",
        ]
    )


def _inputs(comparison: Comparison) -> Iterable[str]:
    yield "<ul>"
    for source in comparison.sources:
        shape = " x ".join(map(str, source.shape))
        yield (
            f"<li>{html.escape(source.name)}: {shape}, {html.escape(source.dtype)}, "
            f"{format_bytes(source.stored_bytes)} on disk, "
            f"{format_bytes(source.decoded_bytes)} decoded</li>"
        )
    if comparison.masks:
        names = ", ".join(map(html.escape, comparison.masks))
        yield f"<li>{counted(len(comparison.masks), 'mask')}: {names}</li>"
        yield f"<li>{counted(comparison.n_jobs, 'worker')}</li>"
    yield "</ul>"


def _table(comparison: Comparison) -> Iterable[str]:
    yield '<h2>Results</h2><div class="wide"><table><thead><tr><th>Method</th><th>Input</th>'
    yield "".join(f'<th class="number">{text}</th>' for text in _HEADINGS)
    yield "<th>Agrees</th></tr></thead><tbody>"
    for record in comparison.records:
        yield _row(record)
    yield "</tbody></table></div>"


def _row(record: Record) -> str:
    way = record.way
    cells = [html.escape(way.method), html.escape(way.input)]
    opening = f'<tr class="{html.escape(way.family.name)}">'
    first = "".join(f"<td>{cell}</td>" for cell in cells)
    if not record.is_done:
        kind = "bad" if record.has_failed else "soft"
        reason = html.escape(record.status)
        return (
            f'{opening}{first}<td colspan="{len(_HEADINGS) + 1}" class="{kind}">{reason}</td></tr>'
        )
    texts = [
        seconds_text(record.seconds),
        seconds_text(record.cpu_seconds),
        memory_text(record.peak_mib),
        memory_text(record.high_water_mib or None),
        str(record.n_processes),
        "-" if record.bytes_read is None else format_bytes(record.bytes_read),
    ]
    numbers = "".join(f'<td class="number">{text}</td>' for text in texts)
    return f"{opening}{first}{numbers}{_agreement(record)}</tr>"


def _agreement(record: Record) -> str:
    if record.agrees is None:
        return '<td class="soft">nothing to compare with</td>'
    remark = f": {html.escape(record.remark)}" if record.remark else ""
    apart = record.largest_difference
    if record.agrees:
        return f"<td>{'yes, exactly' if apart == 0 else f'yes, to {apart:.0e}'}</td>"
    largest = "" if apart is None or remark else f", largest difference {apart:.0e}"
    return f'<td class="bad">no{largest}{remark}</td>'


def _methods(comparison: Comparison) -> Iterable[str]:
    yield "<h2>How it was measured</h2>"
    yield (
        "<p>Each method ran once, in a fresh process tree of its own, one after the other. The "
        "input files were read once before, so that they were in the page cache if that has room "
        "for them. The tree was looked at from outside every 10 ms, less often where looking takes "
        "long, until the work was done. Values were compared after that.</p>"
    )
    if comparison.measured.references:
        names = ", ".join(map(html.escape, comparison.measured.references))
        yield (
            f"<p>Values agree where none differs from those of the reference ({names}) by more "
            f"than {TOLERANCE:g} of its largest value.</p>"
        )
    yield "<dl>"
    for name, text in DEFINITIONS.items():
        yield f"<dt><code>{name}</code></dt><dd>{html.escape(text)}</dd>"
    yield "</dl>"


def _machine(comparison: Comparison) -> Iterable[str]:
    machine = comparison.machine
    versions = ", ".join(f"{name} {text}" for name, text in machine["versions"].items())
    memory = f"{format_bytes(machine['memory_bytes'])}, "
    memory += f"{format_bytes(machine['available_bytes'])} of it available"
    facts = {
        "Cores": str(machine["cores"]),
        "Processor": machine["processor"],
        "Memory": memory,
        "System": machine["system"],
        "Python": machine["python"],
        "Packages": versions,
    }
    yield "<h2>Machine</h2><table>"
    for name, text in facts.items():
        yield f"<tr><th>{name}</th><td>{html.escape(text)}</td></tr>"
    yield "</table>"
