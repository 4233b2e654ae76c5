"""Views of a store that change while somebody looks: `rollbook status --watch` and `rollbook tail`."""
