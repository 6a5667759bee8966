"""zkinfer calibrate."""

from __future__ import annotations

from zkinfer.cli.console import answer, console, facts_table, failing_politely, progress_display, say
from zkinfer.cli.options import AsJson


def calibrate_command(as_json: AsJson = False) -> None:
    """Measure how fast this machine is, for the seconds that `zkinfer compile` predicts.

    Times proofs of a small and of a large circuit, which takes about fifteen seconds. The first compile does it by
    itself. Do it again, while nothing else runs, when predictions are off.

    Example: zkinfer calibrate
    """
    with failing_politely(as_json=as_json):
        from dataclasses import asdict

        from zkinfer.circuits.engines import production_engines
        from zkinfer.circuits.home import Home
        from zkinfer.circuits.sandbox import resources
        from zkinfer.circuits.speed import measured_speed

        engine = next(iter(production_engines().values()))
        with progress_display(quiet=as_json) as display:
            speed = measured_speed(
                engine, Home.from_environment(), lambda fraction: display.progress("calibrate", fraction)
            )
        say(f"[green]✓[/] measured {resources.fingerprint()} with {engine.id}")
        console.print(
            facts_table(
                {
                    "keys": f"{speed.keys_start:.2f} s and {speed.keys_rate:.2f} s for each unit of work",
                    "a proof": f"{speed.prove_start:.2f} s and {speed.prove_rate:.2f} s for each unit of work",
                    "large circuits": f"{speed.gain:.0%} of that for each unit, from {speed.large:.1f} units on",
                }
            )
        )
        if as_json:
            measured = {name: round(seconds, 4) for name, seconds in asdict(speed).items()}
            answer({"ok": True, "engine": engine.id, "machine": resources.fingerprint(), "speed": measured})
