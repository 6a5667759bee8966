"""A server of HTTP that answers about works with recorded documents."""

import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit

from tests.unit.ui import work_documents as documents

KNOWN_FILE = b"the file of the first work"
KNOWN_ISCC = "ISCC:EEAWJ7RYNOQXTM2A"


class Answers(BaseHTTPRequestHandler):
    """Answers from the family of works; what was asked is noted in the server's `asked`."""

    def do_GET(self):
        self._answer(b"")

    def do_POST(self):
        self._answer(self.rfile.read(int(self.headers["content-length"])))

    def log_message(self, *_):
        """Say nothing."""

    def _answer(self, body):
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        self.server.asked.append((self.command, url.path, query, body))
        document = _document(url.path, query, body)
        status = 200 if document is not None else 404
        if document is None:
            detail = "There is no such work up to the last block that was followed."
            document = {"detail": detail, "code": "NOT_FOUND", "reason": "NOT_INDEXED"}
        data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json" if status == 200 else "application/problem+json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _document(path, query, body):
    works = documents.family()
    if path == "/services/supportedAlgorithms":
        return {"watermarks": [], "fingerprints": [{"alg": "io.iscc.v0"}]}
    if path.endswith("/authorisation"):
        return documents.authorisation(path.split("/")[3], authorised="yes" if "acme" in query["subject"] else "no")
    if path.startswith("/v1/works/"):
        return works.get(path.removeprefix("/v1/works/"))
    if path in ("/v1/works", "/v1/works:lookup"):
        return _found(works, query, body)
    return None


def _found(works, query, body):
    first, copy = works[documents.work_id(1)], works[documents.work_id(5)]
    if body == KNOWN_FILE:
        return documents.lookup((first, None), (copy, 9), certified=True)
    if query.get("iscc") == KNOWN_ISCC:
        return documents.lookup((first, 4), (copy, 9))
    return documents.lookup()


@contextmanager
def serving():
    """The server until the end of the block; `url` is its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.asked, server.url = [], f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
