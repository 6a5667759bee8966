"""The directory of works: what a chain's events and given certificates say of each work, and how works are found.

`follow` fills the database from a chain, `files` adds certificates and manifest stores, and `lookup.Directory` answers.
"""
