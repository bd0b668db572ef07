"""`lazyvox view`: a run in the browser."""

import click

from lazyvox.cli.settings import PATH, Command, examples
from lazyvox.runtime.optional import require

__all__ = ["view"]


@click.command(cls=Command, epilog=examples("lazyvox view run.nii.gz"))
@click.argument("run", metavar="RUN", type=PATH)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    metavar="N",
    help="Port to listen on; by default any free one.",
)
@click.option("--browser/--no-browser", default=True, help="Open the page in your browser.")
def view(run: str, port: int, browser: bool) -> None:  # noqa: FBT001
    """Show RUN in the browser, until Ctrl-C."""
    require("uvicorn", "view", "Viewers")
    from lazyvox.viewer.opened import ViewOptions, opened
    from lazyvox.viewer.server import Server

    server = Server(opened(run, ViewOptions()), port=port)
    click.echo(server.url)
    if browser:
        server.open_browser()
    server.run()
