"""The Open Inference Protocol's messages, in a pool of descriptors of our own."""
