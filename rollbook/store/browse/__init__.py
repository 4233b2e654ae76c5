"""Datasette on a store: what its pages say of tables, queries that suit them, and the server on this machine alone."""
