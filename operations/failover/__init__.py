"""Failover: the stateful names of a front move between its sites, by hand, with their data."""
