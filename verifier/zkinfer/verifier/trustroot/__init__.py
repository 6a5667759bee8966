"""Trust roots: one signed file with the models, signers, setups, engines, chains and logs that a publisher vouches for.

A root has numbered versions, each signed by a threshold of root keys, with an expiry and revocations.
"""
