"""Classical machine learning as tensor arithmetic: tree ensembles, linear models and their preprocessing."""
