# syntax=docker/dockerfile:1
# Two stages: `npm run build` makes the binary, and nothing but the binary goes on.
#
#   docker build -t holdline .
#   docker run --read-only -p 127.0.0.1:8787:8787 -e HOLDLINE_AUTH=open -v holdline:/data holdline
#
# HOLDLINE_AUTH=open is asked for because inside a container the server cannot listen on loopback only: publish the port
# on 127.0.0.1, as above, or put an authenticating proxy in front.

FROM node:20-bookworm-slim AS build
WORKDIR /src
COPY package.json package-lock.json ./
RUN npm ci --omit=dev
COPY bunfig.toml tsconfig.json ./
COPY migrations migrations
COPY src src
RUN npm run build && mkdir /data

# glibc and nothing else: no shell, no package manager. 65532 is the image's own `nonroot` user.
FROM gcr.io/distroless/base-debian12:nonroot
COPY --from=build /src/dist/holdline /usr/local/bin/holdline
COPY --from=build /src/dist/THIRD-PARTY-NOTICES.txt /usr/share/doc/holdline/THIRD-PARTY-NOTICES.txt
COPY --from=build --chown=65532:65532 --chmod=700 /data /data
ENV HOLDLINE_HOST=0.0.0.0 \
    HOLDLINE_DATA_DIR=/data
USER 65532:65532
# Everything that is written goes here; the root file system can be read-only.
VOLUME /data
WORKDIR /data
EXPOSE 8787
# SIGTERM drains: runs may finish for HOLDLINE_DRAIN_MS (30 s), and what has not is handed back to the queue. Docker waits
# for 10 s and Kubernetes for 30 s before they kill, which is no sooner lost than a crash, but runs then begin anew. Give
# it the drain and 15 s: docker stop --timeout 45, stop_grace_period: 45s, terminationGracePeriodSeconds: 45; or set
# HOLDLINE_DRAIN_MS to 5 s less than what it is given.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 CMD ["/usr/local/bin/holdline", "health"]
ENTRYPOINT ["/usr/local/bin/holdline"]
CMD ["serve"]
