"""Options of `zkinfer compile`, and what makes them wrong usage."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from zkinfer.cli.options import parse_amount, parse_share, parse_size


class InputVisibility(StrEnum):
    """What a proof tells of the inputs."""

    PUBLIC = "public"
    HASHED = "hashed"
    PRIVATE = "private"


class Objective(StrEnum):
    """What a circuit is chosen for."""

    LATENCY = "latency"
    GAS = "gas"
    MEMORY = "memory"


class Effort(StrEnum):
    """How much of the space of settings is searched."""

    QUICK = "quick"
    NORMAL = "normal"
    MAX = "max"


NewCircuit = Annotated[Path, typer.Option(help="The circuit folder to make; must not exist.", show_default=False)]
Calibration = Annotated[
    Path | None,
    typer.Option(
        help="Samples of real inputs (.npz, .json, .csv). Half of them choose the settings, half judge them; "
        "without them random numbers do both, and the circuit says so."
    ),
]
Ceremony = Annotated[
    str | None,
    typer.Option(
        help="The ceremony to use. Default: the smallest setup of a real one at hand that is large enough. "
        "`insecure-dev` is for tests."
    ),
]
Inputs = Annotated[
    InputVisibility,
    typer.Option(
        help="What a proof tells of the inputs: themselves, a digest of each (who can guess an input can confirm "
        "the guess), or nothing."
    ),
]
Dimensions = Annotated[
    list[str] | None, typer.Option(metavar="NAME=SIZE", help="Size of a symbolic dimension; repeatable.")
]
Labels = Annotated[
    str | None,
    typer.Option(
        metavar="NAME[=OUTPUT]",
        help="Array (in a .csv: column) of the calibration file with the true class of each sample. OUTPUT gives "
        "the class; default: an integer output, else the first with a number per class.",
    ),
]
MinAgreement = Annotated[
    float,
    typer.Option(parser=parse_share, metavar="SHARE", help="Share of samples whose answer must stay the same."),
]
MaxError = Annotated[
    float,
    typer.Option(
        parser=parse_share,
        metavar="SHARE",
        help="Largest error (99th percentile), as a share of the output's range.",
    ),
]
MaxAbsoluteError = Annotated[
    float | None,
    typer.Option(
        parser=parse_amount, metavar="NUMBER", help="Largest difference of any output number, in its own units."
    ),
]
MaxAccuracyDrop = Annotated[
    float | None,
    typer.Option(
        parser=parse_share,
        metavar="SHARE",
        help="Most that the accuracy may fall, such as 0.5%: share of samples with the true class. Needs --labels.",
    ),
]
Wanted = Annotated[
    Objective,
    typer.Option(
        help="What to make small: the time of a proof (up to a third is given for less gas), the gas of checking "
        "it on chain, or the peak of memory."
    ),
]
Search = Annotated[Effort, typer.Option(help="How long to search for it.")]
MaxMemory = Annotated[
    int | None,
    typer.Option(
        parser=parse_size,
        metavar="SIZE",
        help="Look for a circuit that takes no more, such as 4GB, and refuse the model if there is none. Beyond nine "
        "tenths of the free memory every circuit is refused.",
    ),
]
Strict = Annotated[
    bool,
    typer.Option(
        "--strict", help="Refuse a circuit that misses the budget on the samples that judge. Default: publish and tell."
    ),
]
TradeOff = Annotated[
    Path | None,
    typer.Option(metavar="FILE.png", help="Draw the settings that were weighed into this file (.png or .svg)."),
]


def parse_dimensions(pairs: list[str]) -> dict[str, int]:
    """`["batch=1"]` as a dictionary; raises typer.BadParameter for anything else."""
    sizes = {}
    for pair in pairs:
        name, equals, size = pair.partition("=")
        if not (name and equals and size.isdecimal() and int(size) > 0):
            raise typer.BadParameter(f"{pair!r} is not NAME=SIZE with a size of at least 1", param_hint="--dim")
        sizes[name] = int(size)
    return sizes


def refuse_incomplete(calibration: Path | None, labels: str | None, max_accuracy_drop: float | None) -> None:
    """Raise typer.BadParameter where an option lacks the one it builds on."""
    if labels is not None and calibration is None:
        raise typer.BadParameter("labels belong to samples: give --calibration too", param_hint="--labels")
    if max_accuracy_drop is not None and labels is None:
        raise typer.BadParameter("accuracy is measured on labels: give --labels too", param_hint="--max-accuracy-drop")
