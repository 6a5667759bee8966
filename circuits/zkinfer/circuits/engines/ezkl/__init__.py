"""The ezkl engine: Halo2 with KZG commitments over BN254."""
