"""ezkl's quantised forward pass, without a proof."""
