"""A slow prover of profile 1 for small programs, over any group whose tau is known, honest or lying.

It does by brute force what the verifier does by formulas: relations are enumerated, columns are tables over all corners
of a cube. `lies` change what the prover has computed, by the name of what they change.
"""

from __future__ import annotations

from collections import Counter
from copy import copy
from itertools import chain

from tests.ashlar.cases import Case
from tests.ashlar.keys import key_bytes
from tests.ashlar.kzg import open_at
from tests.ashlar.relations import positions, relation, rows

from zkinfer.circuits.digest import keccak256
from zkinfer.verifier.ashlar.program import (
    CELLS,
    HASHED,
    PRIVATE,
    PUBLIC,
    STORED,
    WEIGHTED_CELLS,
    WEIGHTS,
    Block,
)
from zkinfer.verifier.ashlar.statement import Layout, Statement
from zkinfer.verifier.ashlar.transcript import Transcript


class Prover:
    """A program with weights under a group; `header` gives the mode, and its other fields must fit."""

    def __init__(self, header, program, weights, group):
        self.header, self.program, self.group = header, program, group
        self.lies = {}
        self.guess = lambda: 7  # of a challenge, by liars that need it before it is there
        self.extra = 0  # a coefficient of the first chunk of P beyond those that have cells
        self.p = group.order
        self.weights = [*weights, *[0] * ((header.chunks << header.c) - len(weights))]
        self.key = key_bytes(header, group.tau_g2, self.commit(self.weights), program)
        self.layout = Layout.of(header, program)
        self.terms = [
            [(term, list(relation(term, constraint.bits))) for term in constraint.terms]
            for constraint in program.constraints
        ]

    def lie(self, name, value):
        return self.lies[name](value) if name in self.lies else value

    def commit(self, vector, extra=0):
        """The encoded values at tau of the chunks of a vector; the first one has one more coefficient."""
        size = 1 << self.header.c
        chunks = [vector[at : at + size] for at in range(0, len(vector), size)]
        if extra:
            chunks[0] = [*self._pad(chunks[0])[:size], extra]
        return b"".join(self.group.encode(self.at(chunk, self.group.tau)) for chunk in chunks)

    def at(self, coefficients, x):
        result = 0
        for coefficient in reversed(coefficients):
            result = (result * x + coefficient) % self.p
        return result

    def forward(self, inputs):
        """The columns q, r, y by cell, and the outputs' boxes."""
        s, program = self.header.s, self.program
        q, r, y = ([0] * (1 << self.header.n) for _ in range(3))
        for position, value in zip(positions(program.blocks[0].dims), inputs, strict=True):
            cell = program.blocks[0].offset + position
            q[cell] = y[cell] = value
        for index in range(1 << program.blocks[0].bits):  # what the input's table makes of padding is 0
            y[program.blocks[0].offset + index] = q[program.blocks[0].offset + index]
        boxes = []
        for constraint, terms in zip(program.constraints, self.terms, strict=True):
            z = self._sums(constraint, terms, y)
            if not isinstance(constraint, Block):
                boxes.append(z)
                continue
            table = dict(rows(program.tables[constraint.table], self.weights))
            for o, value in enumerate(z):
                cell, scaled = constraint.offset + o, (value << (s - constraint.shift)) + (1 << (s - 1))
                q[cell], r[cell] = scaled >> s, scaled % (1 << s)
                y[cell] = table.get(q[cell], 0)
        return q, r, y, boxes

    def _sums(self, constraint, terms, y):
        z = [0] * (1 << constraint.bits)
        for term, places in terms:
            offset = 0 if term.kind == WEIGHTS else self.program.blocks[term.source].offset
            for o, i, w in places:
                cell = 1 if term.kind == WEIGHTS else y[offset + i]
                z[o] += (term.coef if w is None else self.weights[w]) * cell
        return z

    def lookups(self, q, r, y):
        """How often each row is looked up; (0, 0, 0) is row 0 of the range table."""
        tags = self._tags()
        counted = Counter(zip(q, y, tags, strict=True)) + Counter((value, 0, 0) for value in r)
        m = [0] * (1 << self.header.nt)
        for tag, table in enumerate(self.program.tables):
            for t, (first, second) in enumerate(rows(table, self.weights)):
                m[table.offset + t] = counted[first, second, tag]
        return m

    def _tags(self):
        tags = [1] * (1 << self.header.n)
        for block in self.program.blocks:
            tags[block.offset : block.offset + (1 << block.bits)] = [block.table] * (1 << block.bits)
        return tags

    def eq(self, x):
        """The table of eq with a point, by index."""
        table = [1]
        for v in reversed(x):
            table = [entry for e in table for entry in (e * (1 - v) % self.p, e * v % self.p)]
        return table

    def prove(self, inputs, context=b"\1" * 32):
        """The statement and a proof of it, as a case."""
        h, p, group = self.header, self.p, self.group
        q, r, y, boxes = self.lie("witness", self.forward(inputs))
        m = self.lie("multiplicities", self.lookups(q, r, y))
        x = [0] * (1 << self.program.blocks[0].bits)
        for position, value in zip(positions(self.program.blocks[0].dims), inputs, strict=True):
            x[position] = value
        x = self.lie("committed", x) if h.mode == HASHED else []
        statement = self._statement(inputs, boxes, context, x)
        order = [m, q, r, y] if h.nt > h.n else [q, r, y, m]
        vectors = {"F": self.weights, "X": x, "P": self.lie("P", [*chain.from_iterable(order)])}
        self.transcript = Transcript(keccak256(self.key).value + statement.encode(), p)
        self.proof = b""

        alpha = self.send(self.commit(x) + self.commit(vectors["P"], self.extra))
        beta = self.draw()
        h1, h2, g = self.lie("helpers", self._helpers(q, r, y, m, alpha, beta))
        vectors["H"] = self.lie("H", g + h1 + h2 if h.nt > h.n else h1 + h2 + g)
        gamma = self.send(self.commit(vectors["H"]))
        rounds = max(h.n, h.nt)
        tau = [self.draw() for _ in range(max(rounds, *(o.bits for o in self.program.outputs), 0))]
        t = self.draw()
        self.challenges = (alpha, beta, gamma, tau, t)
        self.bias = self.lie("bias", sum(self.weights[w] * k for w, k in self._weight_kernel(WEIGHTS, None).items()))
        self.send_scalars([self.bias])
        rho = self._first(q, r, y, h1, h2, g, m, x, rounds)
        self.rho = rho
        delta = self._values(q, r, y, h1, h2, g, m, x, rho)
        sigma, kernels = self._second(vectors, rho, delta)
        self._open(vectors, kernels, sigma)
        return Case("proved", group, self.key, statement.context, statement.inputs, statement.outputs, self.proof)

    def send(self, data):
        self.proof += data
        return int(self.transcript.absorb(data))

    def send_scalars(self, values):
        return self.send(b"".join((value % self.p).to_bytes(32, "big") for value in values))

    def peek(self):
        """The challenge of a message that is not hashed."""
        return int(copy(self.transcript).absorb(b""))

    def draw(self):
        return int(self.transcript.next())

    def _statement(self, inputs, boxes, context, x):
        width = self.layout.input_width
        sent = {
            PUBLIC: b"".join((v % (1 << (8 * width))).to_bytes(width, "big") for v in inputs),
            HASHED: keccak256(self.commit(x)).value,
            PRIVATE: b"",
        }[self.header.mode]
        pairs = zip(self.program.outputs, boxes, strict=True)
        outputs = [box[position] for output, box in pairs for position in positions(output.dims)]
        return Statement(context, sent, tuple(self.lie("outputs", outputs)))

    def _helpers(self, q, r, y, m, alpha, beta):
        p = self.p

        def inverse(value):
            return pow(value % p, -1, p)

        h1 = [inverse(beta - a - alpha * b - alpha * alpha * tag) for a, b, tag in zip(q, y, self._tags(), strict=True)]
        h2 = [inverse(beta - value) for value in r]
        g = [count * inverse(beta - f) % p for count, f in zip(m, self._fingerprints(alpha), strict=True)]
        return h1, h2, g

    def _fingerprints(self, alpha):
        fingerprints = [0] * (1 << self.header.nt)
        for tag, table in enumerate(self.program.tables):
            for t, (first, second) in enumerate(rows(table, self.weights)):
                fingerprints[table.offset + t] = (first + alpha * second + alpha * alpha * tag) % self.p
        return fingerprints

    def _factors(self):
        """For each constraint its power of gamma, and that times the factor of its terms."""
        gamma, s = self.challenges[2], self.header.s
        for number, constraint in enumerate(self.program.constraints):
            scale = 1 << (s - constraint.shift) if isinstance(constraint, Block) else 1
            power = pow(gamma, number, self.p)
            yield constraint, self.terms[number], power, power * scale % self.p

    def _weight_kernel(self, kind, at_rho):
        """What each weight counts for in terms of a kind; `at_rho` is the table of eq with rho over cells."""
        kernel = Counter()
        tau = self.challenges[3]
        for constraint, terms, _, factor in self._factors():
            at_tau = self.eq(tau[: constraint.bits])
            for term, places in terms:
                if term.kind == kind:
                    offset = 0 if at_rho is None else self.program.blocks[term.source].offset
                    for o, i, w in places:
                        kernel[w] += factor * at_tau[o] * (1 if at_rho is None else at_rho[offset + i])
        return kernel

    def reads(self):
        """For each cell: what E, In - V - Lin, and Same are there."""
        h, (_, _, gamma, tau, t) = self.header, self.challenges
        e, reads, same = ([0] * (1 << h.n) for _ in range(3))
        count, block = len(self.program.constraints), self.program.blocks[0]
        for constraint, terms, power, factor in self._factors():
            at_tau = self.eq(tau[: constraint.bits])
            if isinstance(constraint, Block):
                for o, value in enumerate(at_tau):
                    e[constraint.offset + o] += power * value
            for term, places in terms:
                for o, i, w in places if term.kind != WEIGHTS else ():
                    weight = term.coef if term.kind == CELLS else self.weights[w]
                    reads[self.program.blocks[term.source].offset + i] -= factor * weight * at_tau[o]
        valid = set(positions(block.dims))
        for i in range(1 << block.bits):
            here = pow(gamma, count, self.p) * pow(t, i, self.p)
            reads[block.offset + i] += here if h.mode != PRIVATE else 0
            reads[block.offset + i] += here * gamma if h.mode != PUBLIC and i not in valid else 0
            same[block.offset + i] = here if h.mode == HASHED else 0
        return e, reads, same

    def _first(self, q, r, y, h1, h2, g, m, x, rounds):
        h, p, (alpha, beta, gamma, tau, _) = self.header, self.p, self.challenges
        count = len(self.program.constraints)
        e, reads, same = self.reads()
        slot = [pow(gamma, count + k, p) for k in range(6)]
        at_n, at_nt = self.eq(tau[: h.n]), self.eq(tau[: h.nt])
        cells = [
            [e, [(v << h.s) + w for v, w in zip(q, r, strict=True)]],
            [reads, y],
            [[slot[2]] * len(q), [a + b for a, b in zip(h1, h2, strict=True)]],
            [
                at_n,
                h1,
                [slot[3] * (beta - a - alpha * b - alpha**2 * c) for a, b, c in zip(q, y, self._tags(), strict=True)],
            ],
            [at_n, h2, [slot[4] * (beta - v) for v in r]],
        ]
        if h.mode == HASHED:
            cells.append([[-v for v in same], x])
        table = [
            [at_nt, g, [slot[5] * (beta - f) for f in self._fingerprints(alpha)]],
            [at_nt, [-slot[5] * v for v in m]],
            [[-slot[2]] * len(m), g],
        ]
        products = [(h.n, columns) for columns in cells] + [(h.nt, columns) for columns in table]
        return self.sumcheck(products, rounds, degree=3, name="first")

    def sumcheck(self, products, rounds, degree, name):
        """Prove a sum of products of columns, each on the low coordinates of the cube; returns the point."""
        p, point = self.p, []
        live = [(bits, [[v % p for v in column] for column in columns], 1) for bits, columns in products]
        for j in reversed(range(rounds)):
            values = [0] * (degree + 1)
            for bits, columns, selected in live:
                for x in range(degree + 1):
                    at = [_bind(column, x, p) if len(column) > 1 << j else column for column in columns]
                    factor = selected if j < bits else selected * (1 - x)
                    values[x] += factor * sum(_times(at, k, p) for k in range(1 << min(bits, j)))
            constant, _, *higher = _interpolate(values, p)
            x = self.send_scalars(self.lie(f"{name} round", [constant, *higher]))
            point.append(x)
            live = [
                (
                    bits,
                    [_bind(column, x, p) if len(column) > 1 << j else column for column in columns],
                    selected if j < bits else selected * (1 - x) % p,
                )
                for bits, columns, selected in live
            ]
        return point[::-1]

    def mle(self, column, point):
        bits = (len(column) - 1).bit_length()
        return sum(a * b for a, b in zip(column, self.eq(point[:bits]), strict=True)) % self.p

    def _values(self, q, r, y, h1, h2, g, m, x, rho):
        kernel = self._weight_kernel(WEIGHTED_CELLS, self.eq(rho[: self.header.n]))
        v = sum(self.weights[w] * k for w, k in kernel.items()) % self.p
        values = [self.mle(column, rho) for column in (q, r, y, h1, h2, g, m)] + [v]
        if self.header.mode == HASHED:
            values.append(self.mle(x, rho))
        if any(table.kind == STORED for table in self.program.tables):
            at_rows = self.eq(rho[: self.header.nt])
            values.append(sum(self.weights[w] * k for w, k in self._stored(at_rows)))
        return self.send_scalars(self.lie("values", values))

    def _stored(self, at_rows):
        for table in self.program.tables:
            if table.kind == STORED:
                yield from ((table.column + k, at_rows[table.offset + k]) for k in range(1 << table.k))

    def _second(self, vectors, rho, delta):
        h, p = self.header, self.p
        at_n, at_nt = self.eq(rho[: h.n]), self.eq(rho[: h.nt])
        d = [pow(delta, k, p) for k in range(11)]
        kernels = {"F": [0] * len(self.weights)}
        for exponent, places in (
            (0, self._weight_kernel(WEIGHTED_CELLS, at_n)),
            (1, self._weight_kernel(WEIGHTS, None)),
        ):
            for w, k in places.items():
                kernels["F"][w] += d[exponent] * k
        for w, k in self._stored(at_nt):
            kernels["F"][w] += d[10] * k
        bits = self.program.blocks[0].bits
        kernels["X"] = [d[9] * k for k in self.eq(rho[:bits])] if h.mode == HASHED else []
        parts = {"P": ([2, 3, 4], 8), "H": ([5, 6], 7)}
        for name, (cells, row) in parts.items():
            blocks, last = [d[k] * v for k in cells for v in at_n], [d[row] * v for v in at_nt]
            kernels[name] = last + blocks if h.nt > h.n else blocks + last
        kernels = self.lie("kernels", kernels)
        products = [(h.nb, [self._pad(vectors[name]), self._pad(kernel)]) for name, kernel in kernels.items()]
        return self.sumcheck(products, h.nb, degree=2, name="second"), kernels

    def _pad(self, column):
        return [*column, *[0] * ((1 << self.header.nb) - len(column))]

    def _open(self, vectors, kernels, sigma):
        size, high = 1 << self.header.c, self.eq(sigma[self.header.c :])
        weights = {name: self.mle(self._pad(kernel), sigma) for name, kernel in kernels.items()}
        claim = sum(weights[name] * self.mle(self._pad(vector), sigma) for name, vector in vectors.items())
        f = [0] * (size + (self.extra != 0))
        for name, vector in self.lie("opened", vectors).items():
            for place, value in enumerate(vector):
                f[place % size] += weights[name] * high[place >> self.header.c] * value
        if self.extra:
            f[size] = weights["P"] * high[0] * self.extra
        open_at(self, self.lie("f", [value % self.p for value in f]), sigma[: self.header.c], claim % self.p)


def _times(columns, k, p):
    result = 1
    for column in columns:
        result = result * column[k % len(column)] % p
    return result


def _bind(column, x, p):
    half = len(column) // 2
    return [(low + x * (high - low)) % p for low, high in zip(column[:half], column[half:], strict=True)]


def _interpolate(values, p):
    """The coefficients of the polynomial with these values at 0, 1, 2, ..."""
    result = [0] * len(values)
    for k, value in enumerate(values):
        basis, scale = [1], 1
        for j in range(len(values)):
            if j != k:
                basis = [a - j * b for a, b in zip([0, *basis], [*basis, 0], strict=True)]
                scale *= k - j
        result = [a + value * pow(scale, -1, p) * b for a, b in zip(result, basis, strict=True)]
    return [value % p for value in result]
