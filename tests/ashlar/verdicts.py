"""The verdict that each stored vector is to get, as checks that raise if a verifier gives another."""

from __future__ import annotations

import json
from functools import cache, partial

from tests.ashlar import cases
from tests.ashlar.numbers import KnownTau

from zkinfer.verifier.ashlar.errors import AshlarRejectedError

BAD = ("keys", "statements", "lies", "proofs")


class Remembered(KnownTau):
    """The group with results kept, so that many verifiers of the same vectors share the costly part."""

    def __init__(self):
        self._combined = cache(super().combine)
        self.is_tau_times = cache(super().is_tau_times)
        self.decode = cache(super().decode)
        self.require_tau = cache(super().require_tau)

    def combine(self, terms):
        return self._combined(tuple((int(scalar) % self.order, point) for scalar, point in terms))


def entries(path):
    """The entries of a list beside the good vectors, such as `bad/keys`."""
    return json.loads((cases.FOLDER / f"{path}.json").read_text())


def bad_entries(name):
    """The entries of a file of bad vectors."""
    return entries(f"bad/{name}")


@cache
def _good(name):
    return cases.load(name)[0]


def bad_case(entry, group):
    """A bad vector as a case."""
    case = _good(entry["vector"]).changed(entry["test"], group=group)
    for field in ("key", "proof"):
        data = getattr(case, field)
        for splice in entry.get(field, ()):
            at, inserted = splice["at"], bytes.fromhex(splice["insert"][2:])
            data = data[:at] + inserted + data[at + splice["remove"] :]
        case = case.changed("", **{field: data})
    texts = {field: bytes.fromhex(entry[field][2:]) for field in ("context", "inputs") if field in entry}
    if "outputs" in entry:
        texts["outputs"] = tuple(map(int, entry["outputs"]))
    return case.changed("", **texts)


def refuse(entry, case):
    """Check that a bad vector is refused by its step, and by its rule; or accepted where that is its verdict."""
    found, rule = None, None
    try:
        case.check()
    except AshlarRejectedError as refusal:
        found, rule = refusal.step, getattr(refusal, "rule", None)
    assert (found, rule) == (entry["reject"], entry["rule"]), entry["test"]


def accept(case, values):
    """Check that a good vector is accepted, with the values that it tells."""
    found, seen = case.check(), values["seen"]
    at, opening = found.challenges, found.opening
    for value, name in (
        (at.alpha, "alpha"),
        (at.beta, "beta"),
        (at.gamma, "gamma"),
        (at.tau, "tau"),
        (at.t, "t"),
        (found.delta, "delta"),
        (found.rho, "rho"),
        (found.sigma, "sigma"),
        (opening.zeta, "zeta"),
        (opening.delta, "delta2"),
        (opening.z, "z"),
        (found.second_claims[-1], "claim"),
        (found.line.s1, "s1"),
        (found.line.lz, "lz"),
    ):
        assert written(value) == seen[name], name
    assert {name: written(value) for name, value in found.kernels.items()} | {"Z": written(0)} == seen["kw"]
    assert "0x" + "".join(f"{number:064x}" for number in found.pairing_point or (0, 0)) == values["pairingPoint"]
    layout = case.read().layout
    assert [layout.visibility, layout.input_width, layout.inputs, layout.outputs] == list(values["layout"].values())


def read_limit(entry, case):
    """Check that a key at a limit is read."""
    assert case.read().digest.hex() == entry["vkDigest"][2:], entry["test"]


def written(value):
    """Numbers as the vectors hold them."""
    if isinstance(value, (list, tuple)):
        return [written(entry) for entry in value]
    return f"0x{int(value) % cases.KNOWN_TAU.order:064x}"


def checks(group, bad=BAD):
    """All checks: of the good vectors, of keys at the limits, and of the bad vectors."""
    for name in cases.GOOD:
        case, values = cases.load(name)
        yield partial(accept, case.changed("", group=group), values)
    for entry in entries("parts/limits"):
        yield partial(read_limit, entry, bad_case(entry, group))
    for file in bad:
        for entry in bad_entries(file):
            yield partial(refuse, entry, bad_case(entry, group))
