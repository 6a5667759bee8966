"""A server that knows the works of a chain, and hostile requests to it."""

import json
import urllib.error
import urllib.request

from tests.unit.contracts.work_scene import scene as new_scene
from tests.unit.works.directory.directories import followed

from zkinfer.service.settings import WorksDirectory


class Door:
    """The HTTP interface of a server that knows the works of a chain with one work."""

    def __init__(self, address, work):
        self.address, self.work = address, work

    def ask(self, path, data=None, verb=None, **headers):
        """Status and document of a response."""
        headers = {"content-type": "application/octet-stream"} | headers
        request = urllib.request.Request(f"http://{self.address}{path}", data, headers, method=verb)
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as err:
            with err:
                return err.code, json.loads(err.read())


def known_in(folder):
    """A directory of one work: its database, and the work's id."""
    found = followed(new_scene(), folder)
    with found.store:
        work = found.register()
        found.follow()
    return WorksDirectory(database=f"{folder}/works.db"), work


def refused(door, path, data=None, **headers):
    """The status of a refusal, which says why and tells nothing about the server."""
    status, problem = door.ask(path, data, **headers)
    assert 400 <= status < 500, problem
    assert problem["reason"]
    assert "Traceback" not in json.dumps(problem)
    assert "/tmp" not in problem["detail"]
    assert len(problem["detail"]) < 600
    return status
