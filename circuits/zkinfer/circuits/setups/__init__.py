"""Trusted setups: which ceremonies we know, how a file is checked, where files are kept and fetched from."""

from zkinfer.circuits.setups.ceremonies import CEREMONIES, HERMEZ, INSECURE_DEV, PERPETUAL_POWERS_OF_TAU, Ceremony
from zkinfer.circuits.setups.check import check_setup, identify_setup
from zkinfer.circuits.setups.dev import MAX_DEV_LOG_ROWS, generate_insecure_dev
from zkinfer.circuits.setups.fetch import fetch_setup
from zkinfer.circuits.setups.store import SetupStore
from zkinfer.circuits.setups.values import Progress, SetupReport, TrustedSetup

__all__ = [
    "CEREMONIES",
    "HERMEZ",
    "INSECURE_DEV",
    "MAX_DEV_LOG_ROWS",
    "PERPETUAL_POWERS_OF_TAU",
    "Ceremony",
    "Progress",
    "SetupReport",
    "SetupStore",
    "TrustedSetup",
    "check_setup",
    "fetch_setup",
    "generate_insecure_dev",
    "identify_setup",
]
