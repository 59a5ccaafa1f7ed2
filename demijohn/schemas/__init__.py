"""The JSON Schema of a collection (JSON Schema 2020-12); pure."""
