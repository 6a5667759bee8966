"""Support for ezkl's Solidity verifiers: patches, the compiler, verifiers of single circuits."""
