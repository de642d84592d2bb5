"""Where a row went: what holds it, and why it was taken or set aside."""
