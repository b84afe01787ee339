# An image with the kernel and every plugin of this repository. CI does not build it; it follows the
# pip way of docs/installation.md, which CI does run.
#   docker build -t msp-toolkit . && docker run --rm -v "$PWD:/data" msp-toolkit doctor
FROM python:3.11-slim AS build
WORKDIR /src
COPY . .
RUN python -m venv /opt/msp \
    && /opt/msp/bin/pip install --no-cache-dir -c constraints.txt . $(dirname plugins/*/pyproject.toml)

FROM python:3.11-slim
COPY --from=build /opt/msp /opt/msp
RUN useradd --create-home --uid 10001 msp && mkdir /data && chown msp /data
USER msp
WORKDIR /data
ENV PATH=/opt/msp/bin:$PATH PYTHONUNBUFFERED=1
ENTRYPOINT ["msp-toolkit"]
CMD ["--help"]
