"""Write the keys of three operators: accounts of a development chain, whose keys are public. Prints their addresses.

python keys.py
"""

from pathlib import Path

from zkinfer.circuits.storage import write_atomically
from zkinfer.contracts.signers import DEV_CHAINS, encrypt_keystore, unsafe_dev_account

PASSPHRASE = b"development"
FOLDER = Path(__file__).parent


def main() -> None:
    """Write a keystore and its passphrase into the folder of each operator."""
    addresses = []
    for number in (1, 2, 3):
        account = unsafe_dev_account(number, DEV_CHAINS[0])
        folder = FOLDER / f"op{number}"
        write_atomically(folder / "account.json", encrypt_keystore(account, PASSPHRASE, iterations=2), mode=0o600)
        write_atomically(folder / "passphrase", PASSPHRASE + b"\n", mode=0o600)
        addresses.append(str(account.address))
    print(",".join(addresses))


if __name__ == "__main__":
    main()
