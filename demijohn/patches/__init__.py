"""Changes that a client describes, made of a document that is there; pure."""
