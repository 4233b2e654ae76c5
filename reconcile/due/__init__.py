"""The windows that are due, their order, and the clock that looks at them."""
