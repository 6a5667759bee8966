"""zkinfer chain: deploy the contracts, register models, ask, post answers."""
