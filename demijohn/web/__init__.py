"""The Flask application: routes, negotiation, problems. The only package that imports Flask."""
