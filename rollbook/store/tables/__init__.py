"""The tables, one module each, and the schema that makes them."""
