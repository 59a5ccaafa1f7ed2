"""JSON, Extended JSON and BSON spellings of documents and of their ids; pure."""
