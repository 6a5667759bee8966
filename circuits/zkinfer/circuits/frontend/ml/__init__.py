"""Classical machine learning: trees, linear models and their scores."""
