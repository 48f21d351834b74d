"""The server: listens for the API's requests and answers them with `control`.

Rule: it has no privileges and no business of its own: bytes in, bytes out, within limits of size, time and number.
"""
