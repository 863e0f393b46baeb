# One image for every process of the exchange; docker-compose.yml says which one a container runs.
# The first stage has a compiler for the MySQL driver, the second has none.
FROM python:3.13.7-slim-bookworm AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev libmariadb-dev pkg-config \
    && rm -rf /var/lib/apt/lists/*
RUN python -m venv /venv
COPY requirements.lock requirements-mysql.lock /
# Nothing is installed whose hash is not in a lock file. The driver has no wheel for Linux and is built from its source.
RUN /venv/bin/pip install --no-cache-dir --require-hashes -r /requirements.lock -r /requirements-mysql.lock

FROM python:3.13.7-slim-bookworm
RUN apt-get update \
    && apt-get install -y --no-install-recommends libmariadb3 tini \
    && rm -rf /var/lib/apt/lists/* \
    # What is mounted there takes its mode: without one, only root may count after a restart.
    && install -d -m 1777 /run/metrics \
    && useradd --uid 10001 --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin exchange
COPY --from=build /venv /venv
WORKDIR /exchange
COPY . .
# Compiled once here: the file system is read-only where it runs.
RUN python -m compileall -q . && /venv/bin/python -m compileall -q /venv
ARG COMMIT=""
ENV COMMIT=$COMMIT
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 DATA_DIR=/tmp/data HOME=/tmp
USER 10001:10001
# It hands signals on: a worker that is asked to stop finishes its batch first.
ENTRYPOINT ["tini", "--"]
CMD ["gunicorn", "--config", "deploy/gunicorn.conf.py", "exchange.wsgi"]
