"""Write proofs for the contract: `python -m tests.vectors.make_ashlar_costs INSECURE_DEV HERMEZ`.

Both are setup files, with 2^18 and 2^11 rows. Under the second one is made a proof of the contract's canary, the others
are for measuring gas. The networks are those whose gas section 7.5 of the specification estimates, and two deep ones;
their weights are random, so they compute nothing of use. Programs are written as records, as section 4.1 lists them.
The proofs are the same at every run.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from random import Random

import zkinfer_ashlar

from zkinfer.circuits.digest import keccak256

FOLDER = Path(__file__).parent / "ashlar/costs"
CANARY = Path(__file__).parents[2] / "contracts/src/verifiers/ashlar/AshlarCanary.sol"
PUBLIC, HASHED = 0, 1
WEIGHTED, CELLS, BIAS = 1, 2, 3
EQ, WALK, FREE = 1, 2, 4
RANGE, CLAMP_U = 0, 1
CONTEXT = keccak256(b"ashlar vector context").value


def number(size, *values):
    return b"".join((value % (1 << 8 * size)).to_bytes(size, "big") for value in values)


def axis(kind, o=(0, 0), i=(0, 0), w=0, g=0, bound=0, k=0):
    """`o` and `i` are the first bit and how many."""
    return number(1, kind, *o, *i, w, k, 0) + number(4, g, bound)


def term(kind, source, axes, tiles):
    """A tile is its offset, then start and bits for each axis with weights."""
    source = 0xFFFF if kind == BIAS else source
    spans = (number(4, at) + b"".join(number(4, start) + number(1, bits) for start, bits in cut) for at, *cut in tiles)
    return (
        number(1, kind, len(axes))
        + number(2, source)
        + number(4, 1)
        + b"".join(axes)
        + number(2, len(tiles))
        + b"".join(spans)
    )


def dense(source, inputs, outputs, tiles, bias):
    """A fully connected layer of 2^inputs and 2^outputs cells."""
    axes = [axis(EQ, o=(0, outputs), w=outputs), axis(EQ, i=(0, inputs), w=inputs)]
    return [term(WEIGHTED, source, axes, tiles), term(BIAS, 0, axes[:1], [(bias, (0, outputs))])]


def cells(source, bits, coefficient):
    """All 2^bits cells of a block, each to its place."""
    return number(1, CELLS, 1) + number(2, source) + number(4, coefficient) + axis(EQ, o=(0, bits), i=(0, bits))


def places(sizes):
    """Offsets of parts of 2^size, the largest first, and their end."""
    offsets, end = {}, 0
    for at in sorted(range(len(sizes)), key=lambda at: -sizes[at]):
        offsets[at] = end
        end += 1 << sizes[at]
    return [offsets[at] for at in range(len(sizes))], end


def header(mode, logs, counts):
    """`logs` are n, nT, nB, c, S; `counts` tables, hidden blocks, outputs, chunks and words."""
    return b"zkinfer.ashlar.1" + number(1, 1, mode, *logs, counts[0]) + number(2, *counts[1:])


def program(box, dims, tables, hidden, output):
    """`box` is the input's bits and offset; tables are kind, k, b, offset; hidden blocks bits, offset, shift, terms."""
    data = number(1, box[0], 1, len(dims), 0) + number(4, box[1])
    data += b"".join(number(4, size) + number(1, bits) for size, bits in dims)
    data += b"".join(number(1, kind, k, b, 0) + number(4, at, 0) for kind, k, b, at in tables)
    for bits, at, shift, terms in hidden:
        data += number(1, bits, 1, shift, len(terms)) + number(4, at) + b"".join(terms)
    data += number(1, 4, len(output), 1, 0) + number(4, 10) + number(1, 4) + b"".join(output)
    return data + bytes(-len(data) % 32)


def mlp_64():
    """64-32-10, public input."""
    tables = [(RANGE, 11, 0, 0), (CLAMP_U, 11, 8, 2048)]
    hidden = [(5, 64, 11, dense(0, 6, 5, [(0, (0, 5), (0, 6))], 2560))]
    data = program((6, 0), [(64, 6)], tables, hidden, dense(1, 5, 4, [(2048, (0, 4), (0, 5))], 2592))
    return header(PUBLIC, (7, 12, 13, 13, 11), (2, 1, 1, 1, len(data) // 32)) + data, 2608, (2048, 32, 2592), 64


def mlp_784():
    """784-64-10, hashed input; the input axis is cut into powers of two."""
    tables = [(RANGE, 12, 0, 0), (CLAMP_U, 12, 8, 4096)]
    tiles = [(0, (0, 6), (0, 9)), (32768, (0, 6), (512, 8)), (49152, (0, 6), (768, 4))]
    hidden = [(6, 1024, 12, dense(0, 10, 6, tiles, 51200))]
    data = program((10, 0), [(784, 10)], tables, hidden, dense(1, 6, 4, [(50176, (0, 4), (0, 6))], 51264))
    return header(HASHED, (11, 13, 16, 16, 12), (2, 1, 1, 1, len(data) // 32)) + data, 51280, (50176, 64, 51264), 784


def lenet():
    """LeNet-5 with sums in the place of averages, hashed input, chunks of 2^15."""
    tables = [(RANGE, 12, 0, 0), (CLAMP_U, 11, 8, 4096)]
    padded = [axis(WALK, o=(at, 5), i=(at, 5), w=3, g=-2, bound=32) for at in (5, 0)]
    valid = [axis(WALK, o=(to, 4), i=(at, 4), w=3, bound=16) for to, at in ((4, 6), (0, 1))]
    channels, features, units = (axis(EQ, o=(at, bits), w=bits) for at, bits in ((10, 3), (8, 4), (0, 7)))
    pooled = [axis(FREE, i=(at, 1)) for at in (5, 0)]
    square = [axis(EQ, i=(at, bits), w=bits) for at, bits in ((8, 4), (5, 3), (1, 3))]
    cut = [(y, x) for y in ((0, 2), (4, 0)) for x in ((0, 2), (4, 0))]
    hidden = [
        (
            13,
            0,
            12,
            [
                term(WEIGHTED, 0, [channels, *padded], [(77824, (0, 3), (0, 3), (0, 3))]),
                term(BIAS, 0, [channels], [(78624, (0, 3))]),
            ],
        ),
        (
            12,
            8192,
            12,
            [
                term(
                    WEIGHTED,
                    1,
                    [features, axis(EQ, i=(10, 3), w=3), *pooled, *valid],
                    [(65536, (0, 4), (0, 3), (0, 3), (0, 3))],
                ),
                term(BIAS, 0, [features], [(78592, (0, 4))]),
            ],
        ),
        (
            7,
            13312,
            12,
            [
                term(
                    WEIGHTED,
                    2,
                    [units, *square, *(axis(FREE, i=(at, 1)) for at in (4, 0))],
                    [(at, (0, 7), (0, 4), *ends) for at, ends in zip((0, 49152, 57344, 73728), cut, strict=True)],
                ),
                term(BIAS, 0, [units], [(78336, (0, 7))]),
            ],
        ),
        (7, 13440, 12, dense(3, 7, 7, [(32768, (0, 7), (0, 7))], 78464)),
    ]
    data = program((10, 12288), [(28, 5), (28, 5)], tables, hidden, dense(4, 7, 4, [(75776, (0, 4), (0, 7))], 78608))
    return header(HASHED, (14, 13, 17, 15, 12), (2, 4, 1, 3, len(data) // 32)) + data, 78632, (75776, 128, 78608), 784


def convolution(source, side, channels, *, at, stride=0, kernel=2):
    """A convolution of 2^channels maps to those of a side of 2^side, padded by 1 unless it has one weight for a map."""
    inner, outer = channels
    reach = side + stride
    walks = [
        axis(WALK, o=(y * side, side), i=(y * reach, reach), w=kernel, g=-1 if kernel else 0, bound=1 << side, k=stride)
        for y in (1, 0)
    ]
    axes = [axis(EQ, o=(2 * side, outer), w=outer), axis(EQ, i=(2 * reach, inner), w=inner), *walks]
    tile = (at, (0, outer), (0, inner), *([(0, kernel)] * 2 if kernel else ()))
    return term(WEIGHTED, source, axes, [tile])


def bias(at, first, bits):
    return term(BIAS, 0, [axis(EQ, o=(first, bits), w=bits)], [(at, (0, bits))])


def resnet_20():
    """A residual network of 20 layers on three maps of 32x32, hashed input, chunks of 2^18."""
    layers = [(2, 4, 5, 0)]  # bits of maps before and after, bits of a side, of the stride
    for before, maps, side in ((4, 4, 5), (4, 5, 4), (5, 6, 3)):
        layers += [(before, maps, side, int(before != maps)), *[(maps, maps, side, 0)] * 5]
    halved = [at for at, layer in enumerate(layers) if layer[3]]
    sizes = [before + maps + 4 for before, maps, *_ in layers] + [sum(layers[at][:2]) for at in halved] + [4 + 6]
    sizes += [maps for _, maps, *_ in layers] + [4]
    (*weights, out), end = places(sizes[: -len(layers) - 1])
    biases, count = places(sizes[-len(layers) - 1 :])
    cells_at, _ = places([maps + 2 * side for _, maps, side, _ in layers] + [12])
    hidden = []
    for at, (before, maps, side, stride) in enumerate(layers):
        terms = [convolution(at, side, (before, maps), at=weights[at], stride=stride)]
        if at and at % 2 == 0:  # the second of two joins what went into the first
            source, (narrow, *_, halves) = at - 1, layers[at - 1]
            shortcut = len(layers) + halved.index(at - 1) if halves else None
            terms.append(
                cells(source, maps + 2 * side, 1 << 12)
                if shortcut is None
                else convolution(source, side, (narrow, maps), at=weights[shortcut], stride=1, kernel=0)
            )
        terms.append(bias(end + biases[at], 2 * side, maps))
        hidden.append((maps + 2 * side, cells_at[at], 12, terms))
    summed = [axis(EQ, o=(0, 4), w=4), axis(EQ, i=(6, 6), w=6), axis(FREE, i=(0, 6))]
    last = [term(WEIGHTED, len(layers), summed, [(out, (0, 4), (0, 6))]), bias(end + biases[-1], 0, 4)]
    tables = [(RANGE, 12, 0, 0), (CLAMP_U, 12, 8, 4096)]
    data = program((12, cells_at[-1]), [(3, 2), (32, 5), (32, 5)], tables, hidden, last)
    code = header(HASHED, (18, 13, 20, 18, 12), (2, len(hidden), 1, 2, len(data) // 32)) + data
    return code, end + count, (out, 64, end + biases[-1]), 3 * 32 * 32


def mlp_14():
    """14 dense layers of 528 features, 3.4 million weights, hashed input, chunks of 2^18."""
    cuts = [((0, 9), (0, 9)), ((0, 9), (512, 4)), ((512, 4), (0, 9)), ((512, 4), (512, 4))]
    sizes = [10 + 7] + [o[1] + i[1] for _ in range(12) for o, i in cuts] + [4 + 10] + [10] * 13 + [4]
    at, count = places(sizes)
    biases = at[50:]
    hidden = [(10, 0, 12, dense(0, 7, 10, [(at[0], (0, 10), (0, 7))], biases[0]))]
    for layer in range(1, 13):
        tiles = [(at[4 * layer - 3 + number], *cut) for number, cut in enumerate(cuts)]
        hidden.append((10, layer << 10, 12, dense(layer, 10, 10, tiles, biases[layer])))
    tables = [(RANGE, 12, 0, 0), (CLAMP_U, 13, 8, 8192)]
    last = dense(13, 10, 4, [(at[49], (0, 4), (0, 10))], biases[13])
    data = program((7, 13 << 10), [(96, 7)], tables, hidden, last)
    chunks = -(-count >> 18)
    code = header(HASHED, (14, 14, 22, 18, 12), (2, len(hidden), 1, chunks, len(data) // 32)) + data
    return code, count, (at[49], 1024, biases[13]), 96


def prove(name, code, count, last, inputs, setup):
    """`last` is where the weights of the last layer start, how many each output has, and where its biases start."""
    rng = Random(name)
    weights = [rng.randint(-9, 9) for _ in range(count)]
    at, width, biases = last
    for unused in range(10, 16):  # the box of the outputs has 16 places
        weights[at + unused * width : at + (unused + 1) * width] = [0] * width
        weights[biases + unused] = 0
    weights = number_list(weights)
    key = zkinfer_ashlar.make_key(code, weights, setup)
    write(name, key, weights, number_list(rng.randint(0, 255) for _ in range(inputs)), setup)


def write(name, key, weights, sample, setup):
    packed, outputs, proof = zkinfer_ashlar.prove(key, weights, sample, CONTEXT, setup)
    mode = key[17]
    count = (len(sample) // 8, 1)[mode]
    form = {"visibility": mode, "inputWidth": (1, 32)[mode], "inputs": count, "outputs": len(outputs)}
    files = {"context": CONTEXT, "inputs": packed, "key": key, "proof": proof}
    made = {"name": name, "layout": form, "outputs": [str(value) for value in outputs]}
    made |= {what: "0x" + data.hex() for what, data in files.items()}
    (FOLDER / f"{name}.json").write_text(json.dumps(made, indent=1) + "\n")


def number_list(values):
    return b"".join(value.to_bytes(8, "little", signed=True) for value in values)


def main(insecure_dev, hermez):
    FOLDER.mkdir(exist_ok=True)
    for make in (mlp_64, mlp_784, lenet, resnet_20, mlp_14):
        prove(make.__name__, *make(), insecure_dev)
    canary = "".join(re.findall(r"words\[\d\] = 0x([0-9a-f]{64})", CANARY.read_text()))
    write("canary", bytes.fromhex(canary), number_list([1]), number_list([7]), hermez)


if __name__ == "__main__":
    main(*sys.argv[1:])
