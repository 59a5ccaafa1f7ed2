"""demijohn: JSON documents over HTTP, kept in MongoDB, run by Kubernetes."""

__version__ = "0.1.0"
