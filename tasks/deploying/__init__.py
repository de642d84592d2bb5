"""An evaluated model brought to where it is used: a plain folder, or an endpoint."""
