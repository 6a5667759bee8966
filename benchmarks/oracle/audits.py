"""The audit of a soak's rounds: `zkinfer oracle audit`, from chain data and published files alone."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.oracle.lab import EXAMPLE

from zkinfer.contracts.chain import Chain
from zkinfer.contracts.feed_events import reported_rounds
from zkinfer.oracle.published import PublishedFolder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.oracle.lab import Lab


@dataclass(frozen=True, slots=True)
class Audit:
    """What the audits of all feeds on all chains found.

    Args:
        reports: that were audited.
        lies: reports that the signers lied about, and that do not hold.
        broken: sentences about what is otherwise than expected.
    """

    reports: int
    lies: int
    broken: list[str]


def audit_all(lab: Lab, lies: frozenset[tuple[str, int]], last: int) -> Audit:
    """Audit the newest reports of each feed on each chain; then change one source file, and audit its feed again."""
    folder = PublishedFolder(lab.folder / "published")
    _publish(lab, folder)
    reports, found_lies, broken = 0, 0, list[str]()
    for chain in lab.nodes:
        for feed in lab.feeds:
            verdicts = _audit(lab, chain, feed, folder.folder, last)
            reports += len(verdicts)
            for one in verdicts:
                is_lie = (feed, one["round"]) in lies and one["level"] == "attested"
                found_lies += is_lie
                if one["holds"] == is_lie:
                    broken.append(
                        f"{chain}, {feed}: the audit of round {one['round']} says: {one['problem'] or 'holds'}"
                    )
    return Audit(reports, found_lies, broken + _audit_changed(lab, folder.folder, last))


def _publish(lab: Lab, folder: PublishedFolder) -> None:
    """What the operators' servers publish: the recipe, and the source files in their databases."""
    with ExitStack() as stack:
        stores = [stack.enter_context(one.store()) for one in lab.operators]
        for digest in {one for chain in lab.nodes for one in _digests(lab, chain)}:
            contents = (store.rounds.source(digest) for store in stores)
            content = next((one for one in contents if one is not None), None)
            if content is not None:
                folder.write(content)
    for feed in lab.feeds.values():
        folder.write(feed.recipe.to_bytes())


def _digests(lab: Lab, name: str) -> Iterator[str]:
    for feed in lab.feeds.values():
        for one in reported_rounds(Chain(lab.nodes[name].web3), lab.hubs[name].address, feed.id):
            yield one.source_digest


def _audit_changed(lab: Lab, folder: Path, last: int) -> list[str]:
    """Change the source file of one report, and audit its feed, which must name this file and refuse nothing else."""
    chain, feed = next(iter(lab.nodes)), next(iter(lab.feeds))
    before = _audit(lab, chain, feed, folder, last)
    chosen = before[len(before) // 2]["sourceDigest"]
    path = folder / chosen
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    refused = [one for one in _audit(lab, chain, feed, folder, last) if not one["holds"]]
    path.write_bytes(content)
    broken = [
        f"A changed source file is not named: {one['problem']}" for one in refused if chosen not in one["problem"]
    ]
    return broken if refused else ["A changed source file was not noticed."]


def _audit(lab: Lab, chain: str, feed: str, sources: Path, last: int) -> list[dict[str, Any]]:
    """The verdicts of the command, newest first."""
    command = [sys.executable, "-m", "benchmarks.oracle.wrong_clock", "0", "oracle", "audit", "--json"]
    command += ["--feed", lab.feeds[feed].id]
    command += ["--model", str(EXAMPLE / "vol.onnx"), "--circuit", str(lab.circuit.folder), "--sources", str(sources)]
    command += ["--rpc", lab.nodes[chain].url, "--deployment", str(lab.books[chain]), "--last", str(last)]
    command += ["--unsafe-accept-dev-setup", "--accept-engine", "ashlar"]
    environment = lab.operators[0].environment
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode not in (0, 1) or not done.stdout:
        raise RuntimeError(f"The audit ended with {done.returncode}: {done.stderr}")
    found: list[dict[str, Any]] = json.loads(done.stdout)["rounds"]
    return found
