"""Looks at everything that a drain relies on, and says what to do; it changes nothing."""
