"""Connections that send what a client library would not."""

from __future__ import annotations

import asyncio
import json
import re

LAST = b"GET /v2/health/live HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
"""A request after which the server ends the connection. Its answer shows that the one before it has ended."""


async def raw(server, text, *, then=b"", end=False):
    """Send bytes on a connection of their own; returns status and problem of the answer, (0, None) without one."""
    host, _, port = server.rest_address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(text.encode("latin-1") + then)
        if end:
            writer.write_eof()
        async with asyncio.timeout(10):
            data = await reader.read() if "connection: close" in text or end else await _one(reader)
    except ConnectionResetError:
        return 0, None
    finally:
        writer.close()
    if not data:
        return 0, None
    head, _, body = data.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body) if body.startswith(b"{") else None


async def _one(reader):
    """One response, by its content-length."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as err:
        return err.partial
    lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")]
    return head + await reader.readexactly(int(lengths[0]))


async def answers(server, data):
    """Everything that is answered until the server ends the connection."""
    host, _, port = server.rest_address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(data)
    async with asyncio.timeout(10):
        found = await reader.read()
    writer.close()
    return found


def statuses(found):
    """The status of each answer."""
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) [A-Z]", found)]
