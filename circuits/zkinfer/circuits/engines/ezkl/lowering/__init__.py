"""From the shared normal form to the graph that ezkl takes."""
