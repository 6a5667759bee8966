"""From a normalised ONNX network to a draft: blocks of exact integers. Imported in the child only."""
