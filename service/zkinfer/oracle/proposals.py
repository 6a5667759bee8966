"""Propose a feed for a circuit and a source: its recipe, bounds and tolerance, from data and the fidelity report.

Proposals are wide, so that a feed does not stop on an ordinary day; the owner should tighten them. They cannot be
changed later, since they are in the feed's id.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from zkinfer.contracts.feed_formats import FeedSpec
from zkinfer.contracts.feed_parts import source_of
from zkinfer.oracle.answers import scale_of_output
from zkinfer.oracle.errors import RecipeError
from zkinfer.oracle.recipes import Encoding, Recipe, plain_number
from zkinfer.oracle.specs import FeedFile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zkinfer.circuits.manifest import Circuit
    from zkinfer.contracts.deploy import Part
    from zkinfer.oracle.sources.settings import SourceSettings

_TOLERANCE = "0.005"
_LEAST_MAX_AGE = 600
_ON_CHAIN = ("0." + 37 * "0" + "1", "1" + 39 * "0")
"""Beyond every answer that the contract AggregatorSource takes: it has 38 decimals at most, and is below 2^127."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What the owner of a feed decides; None leaves a value to the proposal.

    Args:
        listing: the model, as registered.
        owner: the account that creates the feed.
        description: what the feed answers.
        source: the contract that gives the inputs; zero if signers do.
        output: which integer of the outputs is the answer.
        decimals: of the answer.
        least: the smallest answer, in the feed's decimals.
        most: the largest answer.
        tolerance: between a signed and a proven answer.
        tick: seconds of a round.
        heartbeat: seconds after which there is a round in any case.
        max_age: seconds after which a report cannot be posted.
    """

    listing: str
    owner: str
    description: str
    source: str = "0x" + "00" * 20
    output: int = 0
    decimals: int = 8
    least: int | None = None
    most: int | None = None
    tolerance: int | None = None
    tick: int = 60
    heartbeat: int = 3600
    max_age: int = 600


def proposed_max_age(tick: int, heartbeat: int, *, sourced: bool) -> int:
    """The maximum age of reports in seconds: ten ticks, and at least ten minutes, since a chain can be slow.

    If a contract gives the inputs, it is also how old the last answer of the other feed may be. That one may answer as
    rarely as once in a heartbeat, and late.
    """
    return max(10 * tick, _LEAST_MAX_AGE, 2 * heartbeat if sourced else 0)


def propose_recipe(circuit: Circuit, settings: SourceSettings, numbers: Sequence[str]) -> Recipe:
    """The recipe for a circuit and a source.

    Args:
        circuit: has the model's input.
        settings: what its owner wants; the rest is proposed.
        numbers: of the series now, for the bounds; empty for a source on a chain, of which every answer is taken that
            its contract takes.

    Raises:
        RecipeError: the circuit's input cannot be filled from a series, or a setting is wrong.
        SourceError: something in the series is not a number.
    """
    encoding = Encoding.of(circuit)
    wide = _ON_CHAIN if settings.aggregator else None
    bounds = settings.bounds or wide or _bounds_around([Fraction(plain_number(one)) for one in numbers])
    return Recipe.make(
        count=settings.count or encoding.size,
        select=settings.select or "",
        bounds=bounds,
        form=settings.form or "level",
        encoding=encoding,
        tolerance=settings.tolerance or _TOLERANCE,
    )


def _bounds_around(numbers: Sequence[Fraction]) -> tuple[str, str]:
    """Powers of ten, beyond all numbers by a factor from 10 to 100; symmetric if some are not positive."""
    if not numbers:
        raise RecipeError("There are no numbers to propose bounds from.", "Give `bounds` for the source.")
    largest = max(abs(one) for one in numbers)
    top = _power(math.ceil(_log10(largest)) + 1 if largest else 1)
    if min(numbers) > 0:
        return _power(math.floor(_log10(min(numbers))) - 1), top
    return f"-{top}", top


def _log10(number: Fraction) -> float:
    return math.log10(number.numerator) - math.log10(number.denominator)


def _power(exponent: int) -> str:
    return plain_number(f"1e{exponent}")


def source_part(aggregator: str, recipe: Recipe, tick: int, max_age: int) -> Part:
    """The contract that gives a recipe's inputs from another feed on the chain; its address follows from all of it.

    The last answer of that feed may be as old as a report of this one: else it has stopped.
    """
    encoding = recipe.encoding
    fields = {"count": recipe.count, "scale": encoding.scale, "width": encoding.width}
    return source_of(aggregator, recipe.digest, tick=tick, max_age=max_age, form=recipe.form, **fields)


def propose_feed(circuit: Circuit, recipe: Recipe, terms: Terms) -> FeedFile:
    """The feed of a circuit's answers.

    Bounds are the range of the answers on the samples of the fidelity report, widened by its own width to both sides,
    but not beyond zero. The tolerance is the largest error of the circuit on these samples: by so much the answer is
    off anyway.

    Raises:
        RecipeError: the output has no scale that a feed can use, or the report does not tell its range.
        FeedFormatError: a value is out of range.
    """
    scale = scale_of_output(circuit, terms.output)
    least, most = terms.least, terms.most
    if least is None or most is None:
        low, high = _proposed_range(circuit, terms)
        least, most = (low if least is None else least), (high if most is None else most)
    spec = FeedSpec(
        listing=terms.listing,
        recipe=recipe.digest,
        owner=terms.owner,
        source=terms.source,
        output=terms.output,
        scale=scale,
        decimals=terms.decimals,
        least=least,
        most=most,
        tolerance=_proposed_tolerance(circuit, terms, scale) if terms.tolerance is None else terms.tolerance,
        tick=terms.tick,
        heartbeat=terms.heartbeat,
        max_age=terms.max_age,
        description=terms.description,
    )
    return FeedFile(spec, recipe)


def _proposed_range(circuit: Circuit, terms: Terms) -> tuple[int, int]:
    name, column = _column(circuit, terms.output)
    found = [one for one in circuit.manifest.fidelity.columns if (one.output, one.column) == (name, column)]
    if not found:
        raise RecipeError(
            f"The fidelity report of {circuit.folder} does not tell the range of output {terms.output}.",
            "Give --least and --most.",
        )
    low, high = _exact(found[0].low), _exact(found[0].high)
    width = high - low or abs(high)
    least, most = low - width, high + width
    unit = int(10**terms.decimals)
    least, most = (max(least, Fraction(0)) if low >= 0 else least), (min(most, Fraction(0)) if high <= 0 else most)
    return math.floor(least * unit), math.ceil(most * unit)


def _exact(number: float) -> Fraction:
    """The decimal number that a report shows, not the binary one next to it."""
    return Fraction(repr(number))


def _column(circuit: Circuit, output: int) -> tuple[str, int]:
    place = output
    for tensor in circuit.manifest.program.outputs:
        if place < tensor.size:
            return tensor.name, place % (tensor.shape[-1] if tensor.shape else 1)
        place -= tensor.size
    raise RecipeError(f"{circuit.folder} has no output {output}.", "Choose another with --output.")


def _proposed_tolerance(circuit: Circuit, terms: Terms, scale: int) -> int:
    """At least one unit of the circuit's output, which is the least that rounding can change."""
    error, unit = _exact(circuit.manifest.fidelity.absolute_max), int(10**terms.decimals)
    return max(math.ceil(error * unit), math.ceil(Fraction(unit, 1 << scale)))
