"""Kill processes at random and check that no acknowledged job is lost (`make reliability`).

    python -m benchmarks.reliability [--jobs N] [--kills N] [--seed N]     # writes docs/measurements/reliability.md

One campaign of kills (`tests.e2e.campaign`), then every other fault of `tests/e2e/test_faults.py`. Sections that
other programs write are preserved.
"""

from __future__ import annotations

import argparse
import secrets
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from xml.etree import ElementTree as ET

from benchmarks.sections import with_other_sections
from benchmarks.service import loaded
from tests.e2e.campaign import ROLES, Campaign
from tests.e2e.ledger import Verdict, audit
from tests.e2e.server_process import MODEL, Server, channel_to, compile_small_model

ROOT = Path(__file__).parents[1]
INTRODUCTION = """\
# Reliability

A job that `zkinfer serve` acknowledged ends in an attestation, a clear failure or a cancellation, whatever is
killed. This page tests that claim with real server processes and the real engine on a small model (4-16-3). Callers
request proofs while the server, its workers, their engines and the sessions that answer receive `kill -9` at random
moments; one kill in seven immediately follows another. A killed server is restarted on the same folders. The limits
on attempts (`queue.begun`, `queue.attempts`) are set so high that all kills may hit the same job. Afterwards every
acknowledged job is looked up, and its attestation is verified from the ONNX file as an auditor would, against the
inputs that were sent and the answer that was given.

A *lost* job is unknown or never ended. A *duplicate* is a request with two jobs, or a job whose attestation ever
changed. *Recovery* is the time from a kill until the server answers and every worker proves again, including the
restart of a killed server."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a campaign."""

    campaign: Campaign
    verdict: Verdict
    seconds: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=300)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 32))
    options = parser.parse_args()
    print(f"seed {options.seed}", file=sys.stderr)
    with tempfile.TemporaryDirectory() as scratch:
        outcome = run_campaign(Path(scratch), options.seed, options.jobs, options.kills)
        faults = run_other_faults(Path(scratch) / "faults.xml")
    text = page(outcome, faults)
    target = ROOT / "docs/measurements/reliability.md"
    target.write_text(with_other_sections(text, target.read_text()))
    print(text)
    if outcome.verdict.faults or any(word == "failed" for _, word in faults):
        sys.exit("\n".join(["broken promises:", *outcome.verdict.faults[:20]]))


def run_campaign(scratch: Path, seed: int, jobs: int, kills: int) -> Outcome:
    """Run one campaign and audit its jobs."""
    home, folder = scratch / "home", scratch / "server"
    folder.mkdir()
    models = compile_small_model(scratch / "small", home)
    # Jobs run in order, so most kills hit the oldest ones.
    patience = {f"ZKINFER_QUEUE__{bound}": str(2 * kills) for bound in ("BEGUN", "ATTEMPTS")}
    with Server(folder, models, home, ("--workers", "2"), patience) as server:
        campaign, began = Campaign(server, seed, jobs, kills), time.monotonic()
        campaign.run()
        seconds = time.monotonic() - began
        with channel_to(server) as channel:
            verdict = audit(channel, campaign.ledger, models / MODEL / "1", home)
        server.stop()
    return Outcome(campaign, verdict, seconds)


def run_other_faults(report: Path) -> list[tuple[str, str]]:
    """Run the tests of all other faults; the name of each, in words, and `held`, `skipped` or `failed`."""
    tests = ("tests/e2e/test_faults.py", "-k", "not campaign", f"--junitxml={report}", "-q", "-p", "no:cacheprovider")
    subprocess.run([sys.executable, "-m", "pytest", *tests], cwd=ROOT, check=False, stdout=sys.stderr)
    found = []
    for case in ET.parse(report).iter("testcase"):  # noqa: S314 - our own pytest wrote it
        kinds = {child.tag for child in case}
        word = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "held"
        found.append((case.attrib["name"].removeprefix("test_").replace("_", " "), word))
    return found


def page(outcome: Outcome, faults: list[tuple[str, str]]) -> str:
    campaign, verdict = outcome.campaign, outcome.verdict
    command = f"python -m benchmarks.reliability --jobs {campaign.jobs} --kills {campaign.kills} --seed {campaign.seed}"
    figures = (
        ("acknowledged", verdict.acknowledged),
        ("finished, attestation verified", verdict.attested),
        ("failed, with a reason", verdict.failed),
        ("lost", verdict.lost),
        ("duplicates", verdict.duplicates),
    )
    lines = [INTRODUCTION, "", f"{outcome.seconds:,.0f} seconds on {loaded()}; `make reliability`, which ran", ""]
    lines += ["```", command, "```", "", "| jobs | |", "| --- | ---: |"]
    lines += [f"| {name} | {number:,} |" for name, number in figures]
    lines += ["", "| kill -9 of | kills | recovery, median | longest |", "| --- | ---: | ---: | ---: |"]
    lines += [row(campaign, f"the {role}", (role,)) for role in ROLES]
    lines += [
        row(campaign, "all", ROLES),
        "",
        "A kill immediately followed by another is counted, but has no recovery time.",
    ]
    lines += ["Meanwhile callers received these errors, retried, and were served: " + errors_seen(campaign) + ".", ""]
    lines += ["## Other faults", "", "| fault and expected behaviour | |", "| --- | --- |"]
    return "\n".join([*lines, *(f"| {name} | {word} |" for name, word in faults)]) + "\n"


def row(campaign: Campaign, title: str, roles: tuple[str, ...]) -> str:
    kills = [kill for kill in campaign.done if kill.role in roles]
    times = [kill.recovery for kill in kills if kill.recovery is not None]
    shown = f"{median(times):.1f} s | {max(times):.1f} s" if times else " | "
    return f"| {title} | {len(kills)} | {shown} |"


def errors_seen(campaign: Campaign) -> str:
    codes = campaign.ledger.codes.most_common()
    return ", ".join(f"{code.removeprefix('StatusCode.')} {count:,} times" for code, count in codes) or "none"


if __name__ == "__main__":
    main()
