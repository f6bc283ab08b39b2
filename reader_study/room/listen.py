"""Where the room listens: the port asked for, small requests, no slow or idle connections."""

import socket
import ssl
import sys
from pathlib import Path

from tornado import netutil, web
from tornado.httpserver import HTTPServer

_LARGEST_BODY = 1_000_000  # bytes; a form holds a code, answers come through the socket
_SLOWEST_BODY_S = 20
_CONNECTIONS = 8192
_IDLE_CONNECTION_S = 30  # sockets of readers are kept awake by pings


def listen(app: web.Application, host: str, port: int, tls: ssl.SSLContext | None) -> str:
    """Address at which readers reach the room from now on.

    Raises
    ------
    ValueError
        The port is taken, or not ours to use.
    """
    try:
        sockets = netutil.bind_sockets(port, host)
    except OSError as error:
        raise ValueError(
            f"port {port} on {host} cannot be used ({error.strerror}); pass --port with another "
            "number"
        ) from None
    _allow_many_connections()
    HTTPServer(
        app,
        ssl_options=tls,
        max_body_size=_LARGEST_BODY,
        max_buffer_size=2 * _LARGEST_BODY,
        body_timeout=_SLOWEST_BODY_S,
        idle_connection_timeout=_IDLE_CONNECTION_S,
    ).add_sockets(sockets)
    bound = sockets[0].getsockname()[1]
    here, anywhere = {"127.0.0.1", "::1"}, {"", "0.0.0.0", "::"}
    name = host if host not in here | anywhere else "localhost"
    name = socket.gethostname() if host in anywhere else name
    return f"{'https' if tls else 'http'}://{name}:{bound}/"


def network_address() -> str:
    """Address of this computer in the network that leads outside; its name where there is none.

    Nothing is sent: a datagram socket only chooses the address that it would send from.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        try:
            out.connect(("192.0.2.1", 9))  # RFC 5737: an address for documents
            return str(out.getsockname()[0])
        except OSError:
            return socket.gethostname()


def _allow_many_connections() -> None:
    """As many open connections as this process may have: a browser takes up to seven."""
    if sys.platform == "win32":
        return
    import resource

    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _CONNECTIONS if most == resource.RLIM_INFINITY else min(most, _CONNECTIONS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(now, wanted), most))


def tls_context(cert: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """TLS with a certificate of one's own; None without.

    Raises
    ------
    ValueError
        One of the two is missing, or they cannot be used.
    """
    if cert is None and key is None:
        return None
    if cert is None or key is None:
        raise ValueError("--cert and --key belong together; pass both")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(cert, key)
    except (OSError, ssl.SSLError) as error:
        raise ValueError(f"certificate or key cannot be used: {error}") from None
    return context
