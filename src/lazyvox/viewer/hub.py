"""The address of a viewer for notebooks of JupyterHub, whose browsers reach no port of its machine."""

import os
from dataclasses import dataclass
from importlib.util import find_spec
from urllib.parse import urlsplit

__all__ = ["HubProxy", "hub_proxy"]

_USUAL_PORTS = {"http": ":80", "https": ":443"}


@dataclass(frozen=True, slots=True)
class HubProxy:
    """A path of the hub that jupyter-server-proxy hands on to a port of this machine.

    Attributes
    ----------
    prefix : str
        The path, without a slash at its end.
    host : str
        Host and port at which browsers reach the hub, empty where the hub does not say so.
    """

    prefix: str
    host: str = ""

    def is_from(self, host: str, prefixes: list[str]) -> bool:
        """Return whether a request came this way.

        Other users of the machine can pretend it: the token alone protects a viewer from them, here
        as elsewhere. Pages that let a name of theirs mean the loopback address are no danger, as
        browsers run on other machines.

        Parameters
        ----------
        host : str
            Field Host of the request.
        prefixes : list of str
            Fields X-Forwarded-Prefix.
        """
        is_host = not self.host or host.lower() == self.host
        return is_host and prefixes == [self.prefix]


def hub_proxy(port: int) -> HubProxy | None:
    """Return the way to a port, None where there is no hub, or no jupyter-server-proxy.

    Parameters
    ----------
    port : int
        Port of a server on this machine.
    """
    prefix = os.environ.get("JUPYTERHUB_SERVICE_PREFIX", "")
    if not prefix or find_spec("jupyter_server_proxy") is None:
        return None
    parts = [part for part in prefix.split("/") if part]
    url = urlsplit(os.environ.get("JUPYTERHUB_PUBLIC_URL", ""))
    # Browsers leave the usual port out.
    host = url.netloc.lower().removesuffix(_USUAL_PORTS.get(url.scheme, ""))
    return HubProxy("/".join(("", *parts, "proxy", str(port))), host)
