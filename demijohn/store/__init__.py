"""The database: one connection, a few operations on raw BSON, errors in our own terms."""
