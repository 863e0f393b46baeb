"""The rate limit: so many requests a second for each user, or for each address where nobody signed in.

`windows` counts, in Redis for all processes together; `meter` chooses the count and the answer's headers;
`base.web.middleware` meters REST, and `base.streams` the streams that open.
"""

# The largest limit. Each request that was let in is remembered for its window, so a limit costs memory.
MOST_PER_SECOND = 10_000
