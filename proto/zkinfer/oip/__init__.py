"""The Open Inference Protocol's messages, in a private descriptor pool."""
