"""Connections to public addresses only: what a page links to must not reach into the network we run in.

The check is made on the addresses a name resolves to and again on the peer actually connected to, so a name that
resolves differently the second time gains nothing.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NameResolutionError

from scrapers.http_errors import AddressRefused


def is_public(address: str) -> bool:
    """True for an address that anyone on the internet could mean.

    >>> [is_public(a) for a in ("93.184.216.34", "10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1")]
    [True, False, False, False, False]
    """
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    return found.is_global and not found.is_multicast


def refuse(url: str, address: str) -> AddressRefused:
    """The error for `url`, which leads to the non-public `address`."""
    refused = AddressRefused(
        f"leads to {address}, which is not a public address.",
        url=url,
        why="A page may not make this program ask machines of the network it runs in.",
        fix="If it is a mirror of yours, name it in [routes] of the recipe.",
    )
    refused.address = address
    return refused


def _check_names(connection: HTTPConnection) -> None:
    host = connection.host.strip("[]")
    try:
        found = socket.getaddrinfo(host, connection.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise NameResolutionError(host, connection, socket.gaierror(*error.args)) from None
    for *_, address in found:
        if not is_public(str(address[0])):
            raise refuse(host, str(address[0]))


def _check_peer(connection: HTTPConnection, sock: socket.socket) -> None:
    address = str(sock.getpeername()[0])
    if not is_public(address):
        sock.close()
        raise refuse(connection.host, address)


class _PublicHTTPConnection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        _check_names(self)
        sock = super()._new_conn()
        _check_peer(self, sock)
        return sock


class _PublicHTTPSConnection(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        _check_names(self)
        sock = super()._new_conn()
        _check_peer(self, sock)
        return sock


class _PublicHTTPPool(HTTPConnectionPool):
    ConnectionCls = _PublicHTTPConnection


class _PublicHTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _PublicHTTPSConnection


class PublicOnly(HTTPAdapter):
    """Connects to public addresses only. Behind a proxy, the proxy resolves names and this check cannot be made."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _PublicHTTPPool, "https": _PublicHTTPSPool}
