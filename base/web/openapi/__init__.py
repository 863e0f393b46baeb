"""The API described for machines: OpenAPI 3.1, made once in each process when somebody first asks for it.

A view's method declares its call; what goes in and comes out is derived from forms and from the types of answers.
"""
