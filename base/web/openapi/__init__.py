"""The API described for machines: OpenAPI 3.1, made once in each process when somebody first asks for it.

Each app says in its `schema` module what its calls take and answer; forms say themselves what they accept.
"""
