"""The command `zkinfer calibrate`."""

from __future__ import annotations

from zkinfer.circuits.engines import DEFAULT_ENGINE
from zkinfer.cli.console import exit_on_error, print_facts, print_json, print_result, progress_display
from zkinfer.cli.options import AsJson, EngineName


def calibrate_command(engine_name: EngineName = DEFAULT_ENGINE, as_json: AsJson = False) -> None:
    """Measure the speed of this machine, from which `zkinfer compile` predicts durations.

    Times proofs of a small and a large circuit, which takes about fifteen seconds. The first compile does this
    automatically. Repeat it on an idle machine if predictions are wrong.

    Example: zkinfer calibrate
    """
    with exit_on_error(as_json=as_json):
        from dataclasses import asdict

        from zkinfer.circuits.engines import engine_named
        from zkinfer.circuits.home import Home, measured_speed
        from zkinfer.circuits.sandbox import resources

        engine = engine_named(engine_name)
        with progress_display(quiet=as_json) as display:
            speed = measured_speed(
                engine, Home.from_environment(), lambda fraction: display.progress("calibrate", fraction)
            )
        print_result(f"[green]✓[/] measured {resources.fingerprint()} with {engine.id}")
        print_facts(
            {
                "keys": f"{speed.keys_start:.2f} s plus {speed.keys_rate:.2f} s per unit of work",
                "proof": f"{speed.prove_start:.2f} s plus {speed.prove_rate:.2f} s per unit of work",
                "large circuits": f"{speed.gain:.0%} of that per unit, from {speed.large:.1f} units of work",
            }
        )
        if as_json:
            measured = {name: round(seconds, 4) for name, seconds in asdict(speed).items()}
            print_json({"ok": True, "engine": engine.id, "machine": resources.fingerprint(), "speed": measured})
