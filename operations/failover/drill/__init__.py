"""A rehearsal of failovers on the sandbox: a table says what breaks, clients ask all the while, bounds are checked."""
