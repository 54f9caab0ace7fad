"""The gateway as a process: a listening socket, one event loop, and a graceful end."""

from __future__ import annotations

import gc
import ipaddress
import resource
import socket
from collections.abc import Callable

import uvicorn

from router_core.errors import InputError
from router_core.gateway.app import MAX_BODY, MAX_REQUESTS, create_app
from router_core.gateway.engine import Engine
from router_core.gateway.patience import PatientProtocol

_DRAIN_S = 30
_OWN_FILES = 64  # the ledger's, the log's, the listening socket
_MOST_FILES = 65_536
_KEEP_ALIVE_S = 75  # longer than clients keep idle connections, so that they close first


def listen(host: str, port: int, *, open_to_all: bool) -> socket.socket:
    """Return a socket bound to the address; raises ``InputError`` where that fails.

    With ``open_to_all``, because no key was made yet, only this machine may reach it.
    """
    if open_to_all and not _local(host):
        raise InputError(
            f"without gateway keys anybody who reaches {host} could spend your money; make a key with "
            "'tierwise keys add' first, or listen on 127.0.0.1"
        )
    try:
        family, kind, number, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, number)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
        except BaseException:
            listener.close()
            raise
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(
            f"cannot listen on {host} port {port}: {reason}; choose another with --host and --port"
        ) from None
    return listener


def serve(
    engine: Engine,
    listener: socket.socket,
    *,
    max_body: int = MAX_BODY,
    max_requests: int = MAX_REQUESTS,
    started: Callable[[str], None] | None = None,
) -> None:
    """Serve until a signal says stop, then drain; ``started`` is called with the gateway's URL once it listens.

    Beyond ``max_requests`` at once callers get a 503, and so they do beyond the connections that the system's limit of
    open files allows: each request may need one more, to a model.
    """
    connections = max(1, (_open_files() - _OWN_FILES) // 2)
    host, port = listener.getsockname()[:2]
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    config = uvicorn.Config(
        create_app(engine, max_body=max_body, max_requests=max_requests),
        loop="uvloop",
        http=PatientProtocol,
        ws="none",
        interface="asgi3",
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=2048,
        limit_concurrency=connections,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_DRAIN_S,
    )
    server = _Server(config, started and (lambda: started(url)))
    gc.collect()
    gc.freeze()  # what is loaded by now stays; looking through it again and again would only cost time
    gc.set_threshold(20_000, 20, 20)  # requests leave few circles behind, so they are looked for seldom
    server.run([listener])


def _open_files() -> int:
    """Return how many files this process may have open, once it has been given as many as it can have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return _MOST_FILES if soft == resource.RLIM_INFINITY else soft


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, started: Callable[[], None] | None) -> None:
        super().__init__(config)
        self._tell = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._tell is not None:
            self._tell()


def _local(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
