"""The rate limit: so many requests a second for each user, or for each address where nobody signed in.

`windows` counts, in Redis for all processes together; `meter` says who is counted and what a request is told;
`base.web.middleware` meters REST and `base.streams` the streams that open.
"""
