"""Child processes with limits: run one function, or hold a session open."""
