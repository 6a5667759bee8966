"""Keys written from programs, so that tests can change any field of a record."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain

from zkinfer.verifier.ashlar import program as records
from zkinfer.verifier.ashlar.program import CELLS, WORD


def number(value, count):
    return value.to_bytes(count, "big", signed=value < 0)


def numbers(*values):
    """Values of one byte each."""
    return bytes(values)


def program_bytes(program):
    """The records of a program, padded with zeros to whole words."""
    block = program.blocks[0]
    parts = [
        numbers(block.bits, block.table, len(block.dims), 0) + number(block.offset, 4) + _dims(block.dims),
        *(_table(table) for table in program.tables),
        *(_hidden(block) for block in program.hidden),
        *(_output(output) for output in program.outputs),
    ]
    data = b"".join(parts)
    return data + bytes(-len(data) % WORD)


def header_bytes(header):
    """Word 0 of a key."""
    small = [getattr(header, name) for name in ("profile", "mode", "n", "nt", "nb", "c", "s", "tables")]
    large = [getattr(header, name) for name in ("hidden", "outputs", "chunks", "words")]
    return records.MAGIC + bytes(small) + b"".join(number(value, 2) for value in large)


def key_bytes(header, tau_g2, weights, program):
    """A key, with the header as it is given; `weights` are the encoded commitments."""
    return header_bytes(header) + tau_g2 + weights + program_bytes(program)


def _dims(dims):
    return b"".join(number(dim.size, 4) + number(dim.bits, 1) for dim in dims)


def _table(table):
    return numbers(table.kind, table.k, table.b, 0) + number(table.offset, 4) + number(table.column, 4)


def _hidden(block):
    head = numbers(block.bits, block.table, block.shift, len(block.terms))
    return head + number(block.offset, 4) + _terms(block.terms)


def _output(output):
    head = numbers(output.bits, len(output.terms), len(output.dims), 0)
    return head + _dims(output.dims) + _terms(output.terms)


def _terms(terms):
    return b"".join(map(_term, terms))


def _term(term):
    head = numbers(term.kind, len(term.axes)) + number(term.source, 2) + number(term.coef, 4)
    tiles = b"" if term.kind == CELLS else number(len(term.tiles), 2) + b"".join(map(_tile, term.tiles))
    return head + b"".join(map(_axis, term.axes)) + tiles


def _axis(axis):
    ranges = numbers(axis.kind, axis.o.first, axis.o.bits, axis.i.first, axis.i.bits, axis.w, axis.k, 0)
    return ranges + number(axis.g, 4) + number(axis.bound, 4)


def _tile(tile):
    return number(tile.offset, 4) + b"".join(
        chain.from_iterable((number(start, 4), number(bits, 1)) for start, bits in tile.spans)
    )


def with_changes(key, changes):
    """A decoded key as bytes, with values put at paths such as `program.blocks.1.terms.0.axes.0.bound`.

    The header counts the words of the changed program, unless the changes say otherwise.
    """
    for path, value in changes.items():
        key = _put(key, path.split("."), value)
    data = program_bytes(key.program)
    header = key.header if "header.words" in changes else replace(key.header, words=len(data) // WORD)
    return header_bytes(header) + key.tau_g2 + key.weights + data


def _put(record, path, value):
    if not path:
        return value
    name, *rest = path
    if isinstance(record, tuple):
        place = int(name)
        return (*record[:place], _put(record[place], rest, value), *record[place + 1 :])
    return replace(record, **{name: _put(getattr(record, name), rest, value)})
