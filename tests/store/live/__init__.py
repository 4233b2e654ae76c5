"""Tests of the views of a store that change while somebody looks."""
