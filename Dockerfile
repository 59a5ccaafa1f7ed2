# The service in a container: docker build -t flask-mongodb-app:0.1.0 .
# Any base with Python 3.11 to 3.14 and its venv module will do: --build-arg BASE=…
# For a release give it by its digest (NAME:TAG@sha256:…); the bill of materials then names it.
ARG BASE=python:3.13-slim-bookworm

FROM ${BASE} AS build
RUN python3 -m venv /opt/demijohn
COPY requirements.txt /build/
# Wheels only: there is no compiler here, and none is wanted.
RUN /opt/demijohn/bin/python -m pip install --no-cache-dir --disable-pip-version-check \
        --require-hashes --only-binary :all: -r /build/requirements.txt
COPY demijohn /build/demijohn
# The package beside its requirements, readable whatever the umask of the checkout was, compiled once:
# nobody can write there later. Then what only an installation needs goes. The first process of a container ignores each signal that it has no
# handler for; so the command gets one before it loads anything, and can be stopped as it starts.
RUN packages=$(/opt/demijohn/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))') \
    && cp -r /build/demijohn "$packages/" \
    && chmod -R a+rX "$packages/demijohn" \
    && printf '%s\n' '#!/opt/demijohn/bin/python' 'import signal' 'import sys' \
        'signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))' \
        'from demijohn.cli import main' 'main()' > /opt/demijohn/bin/demijohn \
    && chmod 755 /opt/demijohn/bin/demijohn \
    && /opt/demijohn/bin/python -m pip --disable-pip-version-check uninstall --quiet --yes pip \
    && rm -rf "$packages"/setuptools* "$packages"/_distutils_hack "$packages"/pkg_resources \
        "$packages"/distutils-precedence.pth \
    && /opt/demijohn/bin/python -m compileall -q "$packages/demijohn"
# The bill of materials, of what is installed now; its tools stay behind in this stage.
COPY requirements-sbom.txt /build/
RUN python3 -m venv /opt/sbom \
    && /opt/sbom/bin/python -m pip install --no-cache-dir --disable-pip-version-check \
        --require-hashes --only-binary :all: -r /build/requirements-sbom.txt
COPY pyproject.toml /build/
COPY tools/sbom.py /build/tools/
ARG BASE
ARG SOURCE_DATE_EPOCH
RUN packages=$(/opt/demijohn/bin/python -I -c 'import sysconfig; print(sysconfig.get_path("purelib"))') \
    && /opt/sbom/bin/python /build/tools/sbom.py /build/requirements.txt --packages "$packages" \
        --image "$BASE" --output /opt/demijohn/share/sbom.cdx.json \
    && chmod -R a+rX /opt/demijohn/share

FROM ${BASE}
# What the base has for building images: nothing may gain rights by what it starts, nor install anything.
# dpkg's lists stay, for those who scan the image.
RUN find / -xdev -type f -perm /6000 -exec chmod a-s {} + \
    && rm -rf /usr/bin/apt* /usr/bin/dpkg* /usr/lib/apt /sbin/apk /usr/bin/pip* /usr/local/bin/pip* \
        /usr/lib/python3/dist-packages/pip* /usr/local/lib/python3*/site-packages/pip*
LABEL org.opencontainers.image.title="demijohn" \
      org.opencontainers.image.description="JSON documents over HTTP, kept in MongoDB" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/demijohn /opt/demijohn
ENV PATH=/opt/demijohn/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    DEMIJOHN_HOST=0.0.0.0 \
    DEMIJOHN_MANAGEMENT_PORT=9090 \
    DEMIJOHN_DRAIN_DELAY=10 \
    DEMIJOHN_CONNECTION_MAX_AGE=60 \
    DEMIJOHN_LOG_FORMAT=json
# A number, so that Kubernetes can tell that it is not root; it owns nothing here.
USER 10001:10001
WORKDIR /tmp
EXPOSE 5000 9090
# For Docker alone; Kubernetes has probes of its own.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s CMD ["python", "-I", "-c", "import os, sys, http.client as h; c = h.HTTPConnection('127.0.0.1', int(os.environ['DEMIJOHN_MANAGEMENT_PORT']), timeout=4); c.request('GET', '/readyz'); sys.exit(c.getresponse().status != 200)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["demijohn"]
CMD ["serve"]
