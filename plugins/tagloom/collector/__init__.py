"""The HTTP collector: systems push events to it, and it puts them into the landing zone without ever losing one.

`settings` reads what it may do, `envelopes` takes a request body apart, `segments` is the durable append log,
`remembered` knows the batches of the last hours, `writer` shares one fsync among many requests, `app` is the HTTP face
and `server` the process.
"""
