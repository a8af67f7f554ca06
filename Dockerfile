# The audit alone, for `docker run --network none`: no TensorFlow, no DVC. docs/ci.md has the commands.
FROM python:3.12-slim AS build
COPY . /source
RUN python -m pip install --no-cache-dir --prefix=/installed "/source[page]"

FROM python:3.12-slim
COPY --from=build /installed /usr/local
RUN useradd --create-home auditor
USER auditor
ENV MPLCONFIGDIR=/tmp
WORKDIR /work
ENTRYPOINT ["privacy-report"]
CMD ["--help"]
