"""What ezkl's Solidity verifiers need: patches, the compiler, dedicated verifiers."""
