"""Ashlar: zkinfer's own proof system for networks of exact integers."""
