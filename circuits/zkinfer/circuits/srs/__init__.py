"""Trusted setups (structured reference strings): known ceremonies, file checks, storage and download."""

from zkinfer.circuits.srs.ceremonies import (
    CEREMONIES,
    HERMEZ,
    INSECURE_DEV,
    MAX_DEV_LOG_ROWS,
    PERPETUAL_POWERS_OF_TAU,
    Ceremony,
    Progress,
    SetupReport,
    TrustedSetup,
    generate_insecure_dev,
)
from zkinfer.circuits.srs.check import check_setup, identify_setup
from zkinfer.circuits.srs.download import fetch_setup
from zkinfer.circuits.srs.store import SetupStore

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
