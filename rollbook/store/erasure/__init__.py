"""Erasure: a person taken out of the store on request, and what says so afterwards."""
