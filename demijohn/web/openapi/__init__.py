"""The service's own description in the form of OpenAPI 3.1, made from the routes themselves."""
