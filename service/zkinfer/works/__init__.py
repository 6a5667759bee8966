"""Works: certificates of files that models made or were made from, their terms, and how they are found again.

Needs the extra `works`; a certificate can be verified without it.
"""
