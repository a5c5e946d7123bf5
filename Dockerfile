# The dependencies that serving needs, and nothing of the tests.
FROM node:24-bookworm-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --omit=optional

FROM node:24-bookworm-slim
WORKDIR /app
ENV NODE_ENV=production \
    LATCHKEY_LISTEN=0.0.0.0:8200 \
    LATCHKEY_DATA_DIR=/data
COPY --from=dependencies /app/node_modules ./node_modules
COPY package.json LICENSE ./
COPY config ./config
COPY plugins ./plugins
COPY src ./src
# The root file system may be read-only: everything that is written goes to /data.
RUN install -d -o node -g node -m 0700 /data && ln -s /app/src/cli/latchkey /usr/local/bin/latchkey
VOLUME /data
USER node
EXPOSE 8200
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s \
  CMD ["node", "src/health-check.ts"]
# node is process 1 and gets the signals itself.
ENTRYPOINT ["node", "--max-semi-space-size=8", "--disable-proto=throw", "--disable-sigusr1", "--report-exclude-env", "src/server.ts"]
